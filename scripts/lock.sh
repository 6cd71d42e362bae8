#!/usr/bin/env bash
# Write constraints.txt afresh from pyproject.toml: the exact version and the hashes of every package of the closure.
# Needs `uv` (from PyPI) on PATH; it is not part of the set-up. Run it after each change of a dependency.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(mktemp)
trap 'rm -f "$out"' EXIT
uv pip compile pyproject.toml --quiet --all-extras --universal --fork-strategy fewest --python-version 3.11 \
    --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file "$out"

{
    echo "# Every package of the set-up, with its exact version and the hashes of its released files."
    echo "# Written by scripts/lock.sh from pyproject.toml; do not edit."
    # The limits that hold for all of it are checked once, by scripts/setup.sh.
    sed -E "s/ ; python_full_version < '3.15' and sys_platform == 'linux'( |$)/\1/; s/python_full_version < '3.15' and //" "$out"
} > constraints.txt
echo "constraints.txt: $(grep -c '==' constraints.txt) packages"
