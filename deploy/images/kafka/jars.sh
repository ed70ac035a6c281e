#!/bin/sh
# jars.sh FOLDER: Kafka and all it needs, from Maven's repository. A secret `ca` (certificates, PEM) is trusted beside Debian's.
set -eu
if [ -s /run/secrets/ca ]; then
	awk '/BEGIN CERT/ {n++} n {print > sprintf("/usr/local/share/ca-certificates/build-%03d.crt", n)}' /run/secrets/ca
	update-ca-certificates >/dev/null 2>&1
fi
if [ -s /run/secrets/maven ]; then set -- "$1" -s /run/secrets/maven; fi
folder=$1; shift
mvn -q -B "$@" -f "$(dirname "$0")/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder"
