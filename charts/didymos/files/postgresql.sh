# The database: made once beside its place and moved there whole, so that a kill in between leaves nothing half made.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):$PATH
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
  rm -rf "$data.new"
  initdb -D "$data.new" -U didymos -E UTF8 --locale=C.UTF-8 -A scram-sha-256 --pwfile=/run/didymos/secrets/postgres-password >/dev/null
  echo 'host all all all scram-sha-256' >> "$data.new/pg_hba.conf"
  echo 'CREATE DATABASE didymos;' | postgres --single -D "$data.new" postgres >/dev/null
  mv "$data.new" "$data"
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections="$MAX_CONNECTIONS" \
  -c shared_buffers="$SHARED_BUFFERS" -c dynamic_shared_memory_type=mmap
