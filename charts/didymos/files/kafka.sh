# One node of the broker: names itself by its place in the set, formats its disk once, then is the broker.
set -eu
node=$((${HOSTNAME##*-} + 1))
sed -e "s/@id@/$node/" -e "s/@host@/$HOSTNAME/" /etc/didymos/server.properties > /tmp/server.properties
run="java -Xms$HEAP -Xmx$HEAP -Dlog4j2.configurationFile=/etc/didymos/log4j2.properties"
if [ ! -f /var/lib/kafka/log/meta.properties ]; then
  $run -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$JARS" kafka.tools.StorageTool format \
    --cluster-id "$CLUSTER_ID" --config /tmp/server.properties
fi
exec $run -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -cp "$JARS" kafka.Kafka /tmp/server.properties
