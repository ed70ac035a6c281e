#!/bin/sh
# python.sh FILE...: the environment /opt/didymos with the requirements of each FILE, by hash, as bytecode, without pip.
# Secrets of the build, both optional: `pip` (a pip.conf) and `ca` (certificates, PEM).
set -eu
for secret in pip ca; do
	[ -s "/run/secrets/$secret" ] || continue
	case $secret in
	pip) export PIP_CONFIG_FILE=/run/secrets/pip ;;
	ca) export PIP_CERT=/run/secrets/ca ;;
	esac
done
python3 -m venv --without-pip /opt/didymos
python3 -m venv /opt/installer
for file in "$@"; do set -- "$@" -r "$file"; shift; done
/opt/installer/bin/pip --python /opt/didymos/bin/python install -q --no-cache-dir --no-compile --require-hashes \
	--only-binary :all: --disable-pip-version-check "$@"
packages=$(echo /opt/didymos/lib/python3.*/site-packages)
# What only a compiler or a test reads.
find "$packages" \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.c' -o -name '*.h' -o -name '*.hpp' -o -name '*.cuh' -o -name '*.a' \) -type f -delete
find "$packages" -type d -name tests -not -path '*/torch/*' -not -path '*/ray/*' -prune -exec rm -rf {} +
rm -rf "$packages/onnx/backend/test"
if [ "${ACCELERATOR:-}" = none ]; then python3 /build/prune.py "$packages"; fi
# Symbols for a debugger, a tenth of the whole. Libraries that a wheel's maker has patched stay as they are.
if command -v strip >/dev/null; then
	find "$packages" -name '*.so' -type f -not -path '*.libs/*' -not -path '*/torch/*' -not -path '*/nvidia/*' -not -path '*/triton/*' \
		-not -path '*/ray/*' -exec strip --strip-unneeded {} +
fi
echo /opt/code >"$packages/didymos.pth"
/opt/didymos/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$packages" || true # a few are templates
