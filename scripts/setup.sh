#!/usr/bin/env bash
# Make .venv with every package of constraints.txt and with this project, editable. Called by the Makefile.
# What the machine lacks is said in one line, with the Debian package that brings it.
set -euo pipefail
cd "$(dirname "$0")/.."

lacking() {
    echo "set-up: $1 is missing: apt-get install $2" >&2
    exit 1
}

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" > /dev/null && "$candidate" -c "$supported" 2> /dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

found_python() {
    "${PYTHON:-python3}" -V 2> /dev/null || echo none
}

command -v perl > /dev/null || lacking "perl (Verilator runs on it)" perl
command -v "${CXX:-c++}" > /dev/null || lacking "a C++ compiler (${CXX:-c++})" g++
python=$(find_python) || lacking "Python 3.11 to 3.14 (found: $(found_python))" python3
"$python" -c 'import venv, ensurepip' 2> /dev/null || lacking "the venv module of $python" python3-venv

started=$SECONDS
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [[ ! -x .venv/bin/pip || $(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null) != "$version" ]]; then
    echo "set-up: making .venv with Python $version"
    "$python" -m venv --clear .venv
fi

pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input)
[[ -t 1 ]] || pip+=(--quiet)
echo "set-up: installing $(grep -c '==' constraints.txt) pinned packages (some 300 MB, the first time a minute or two)"
"${pip[@]}" install --require-hashes --requirement constraints.txt
"${pip[@]}" install --no-deps --no-build-isolation --editable .
.venv/bin/python -m pip --disable-pip-version-check check > .venv/check.txt || { cat .venv/check.txt >&2; exit 1; }
touch .venv/stamp
echo "set-up: done in $((SECONDS - started)) s"
