-- For the function library as Redis loads it: `make lint` renders it and checks it as one chunk.
std = "lua51"
max_line_length = 120

read_globals = {
    "bit",
    "cjson",
    "cmsgpack",
    "struct",
    redis = {
        fields = {
            "LOG_DEBUG", "LOG_NOTICE", "LOG_VERBOSE", "LOG_WARNING",
            "REDIS_VERSION", "REDIS_VERSION_NUM",
            "acl_check_cmd", "call", "error_reply", "log", "pcall", "register_function", "setresp", "sha1hex",
            "status_reply",
        },
    },
}

-- Names of Lua 5.1 that a Redis Function does not have.
not_globals = {
    "debug", "dofile", "getfenv", "io", "loadfile", "module", "newproxy", "os", "package", "print", "require", "setfenv",
}
