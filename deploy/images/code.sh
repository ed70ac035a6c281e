#!/bin/sh
# code.sh: the packages of the tree at /src into /opt/code, as bytecode beside the source.
set -eu
mkdir -p /opt/code
for source in /src/libs/*/src /src/services/*/src /src/cli/src; do cp -r "$source/." /opt/code/; done
python3 -m compileall -q --invalidation-mode unchecked-hash /opt/code
