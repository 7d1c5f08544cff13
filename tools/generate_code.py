"""Generate the Python code of the API from protos/, or check that the committed code is what they give.

Usage: python tools/generate_code.py [--check]

Messages and their type stubs come from every .proto file; gRPC stubs from those that define a service. The code of
google/rpc is not generated: at run time the package googleapis-common-protos has it. Exit code 1 means that --check
found a difference, or that a .proto file does not compile.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
VENDORED_PROTOS = ROOT / "third_party" / "protos"
SERVICE = ROOT / "service"
PACKAGE = Path("creditgate") / "v1"
SERVICE_DEFINITION = re.compile(r"^service\s", re.MULTILINE)


def main() -> int:
    """Return the exit code: 0 when the code was written or, with --check, is up to date."""
    parser = argparse.ArgumentParser(description="Generate the Python code of the API from protos/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the committed code differs")
    only_check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        if not compile_protos(Path(folder)):
            return 1
        fresh = read_generated(Path(folder) / PACKAGE)
    committed = read_generated(SERVICE / PACKAGE)
    differing = sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))
    if not only_check:
        write_generated(differing, fresh)
        return 0
    for name in differing:
        print(f"{SERVICE.name}/{PACKAGE / name} is not what protos/ gives: run `make proto`", file=sys.stderr)
    return 1 if differing else 0


def compile_protos(target: Path) -> bool:
    """Write the code of all .proto files below the target folder; return whether they compile."""
    protos = sorted(PROTOS.rglob("*.proto"))
    services = [proto for proto in protos if SERVICE_DEFINITION.search(proto.read_text(encoding="utf-8"))]
    return run_protoc(protos, [f"--python_out={target}", f"--mypy_out=quiet:{target}"]) and run_protoc(
        services, [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"]
    )


def run_protoc(protos: list[Path], outputs: list[str]) -> bool:
    """Return whether protoc accepted the files; it prints its own complaints."""
    programs = Path(sys.executable).parent
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={PROTOS}",
        f"--proto_path={VENDORED_PROTOS}",
        f"--plugin=protoc-gen-mypy={programs / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={programs / 'protoc-gen-mypy_grpc'}",
        *outputs,
        *(str(proto) for proto in protos),
    ]
    return subprocess.run(command, check=False).returncode == 0


def read_generated(folder: Path) -> dict[str, bytes]:
    """Return the contents of the generated files of a folder, by file name."""
    return {path.name: path.read_bytes() for path in folder.glob("*_pb2*.py*")}


def write_generated(names: list[str], fresh: dict[str, bytes]) -> None:
    """Write the named files, and remove those that no .proto file gives any longer."""
    for name in names:
        path = SERVICE / PACKAGE / name
        if name in fresh:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fresh[name])
        else:
            path.unlink()
        print(f"{'wrote' if name in fresh else 'removed'} {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
