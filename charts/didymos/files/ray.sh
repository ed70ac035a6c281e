# A node of Ray: the head, or a worker of it. Ports are fixed, so that the network policy can name them.
set -eu
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/run/didymos/secrets/ray-token
shared="--num-cpus=$CPUS --object-store-memory=$OBJECT_STORE_BYTES --disable-usage-stats --block --node-ip-address=$POD_IP
 --node-manager-port=6380 --object-manager-port=6381 --min-worker-port=10100 --max-worker-port=10199
 --runtime-env-agent-port=6382 --dashboard-agent-listen-port=6383 --dashboard-agent-grpc-port=6384 --metrics-export-port=6385"
if [ "$1" = head ]; then
  exec ray start --head --port=6379 --ray-client-server-port=10001 --include-dashboard=false $shared
fi
exec ray start --address="$HEAD:6379" $shared
