# The hot store keeps nothing on disk: all in it is made again from the log. Valkey or Redis, whichever the image has.
set -eu
server=$(command -v valkey-server || command -v redis-server)
umask 077
cat > /tmp/redis.conf <<CONFIGURATION
bind * -::*
port 6379
protected-mode yes
save ""
appendonly no
dir /tmp
maxmemory $MAX_MEMORY
maxmemory-policy noeviction
requirepass $(cat /run/didymos/secrets/redis-password)
CONFIGURATION
exec "$server" /tmp/redis.conf
