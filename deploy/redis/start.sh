#!/bin/sh
# Starts redis-server with the redis.conf and the users beside this file.
#
# Environment: REDIS_SERVICE_PASSWORD, REDIS_LIBRARY_PASSWORD and REDIS_OPERATOR_PASSWORD, each 16 or more
# characters of [A-Za-z0-9_-], since the first two stand in a redis:// URL; REDIS_SERVER, the program (default: redis-server);
# REDIS_ACL_FILE, where the users go, in a directory of this process alone (default: /run/redis/users.acl).
# Arguments: further options of redis-server, such as --dir /data.
set -eu
umask 077

directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
acl_file=${REDIS_ACL_FILE:-/run/redis/users.acl}

# Prints a sed command that puts a password's hash in place of its name.
substitution() {
  name=$1 password=$2
  case $password in
    *[!A-Za-z0-9_-]*)
      echo "start.sh: $name has a character outside of [A-Za-z0-9_-]; make one with: openssl rand -hex 32" >&2
      return 1 ;;
  esac
  if [ "${#password}" -lt 16 ]; then
    echo "start.sh: $name has ${#password} characters, fewer than 16; make one with: openssl rand -hex 32" >&2
    return 1
  fi
  hash=$(printf '%s' "$password" | sha256sum)
  echo "s/#{$name}/#${hash%% *}/"
}

service=$(substitution REDIS_SERVICE_PASSWORD "${REDIS_SERVICE_PASSWORD:-}")
library=$(substitution REDIS_LIBRARY_PASSWORD "${REDIS_LIBRARY_PASSWORD:-}")
operator=$(substitution REDIS_OPERATOR_PASSWORD "${REDIS_OPERATOR_PASSWORD:-}")
unset REDIS_SERVICE_PASSWORD REDIS_LIBRARY_PASSWORD REDIS_OPERATOR_PASSWORD

sed -e '/^#/d' -e '/^$/d' -e :join -e '/\\$/N' -e 's/ *\\\n */ /' -e 't join' \
  -e "$service" -e "$library" -e "$operator" "$directory/users.acl.template" >"$acl_file"

exec "${REDIS_SERVER:-redis-server}" "$directory/redis.conf" --aclfile "$acl_file" "$@"
