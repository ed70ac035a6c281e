{{/* Contradictions, each refused by a sentence. What a value may be by itself is in values.schema.json. */}}
{{- define "didymos.validate" -}}
{{- $values := .Values -}}
{{- $kafka := $values.backends.kafka -}}
{{- range $part := list "kafka" "postgresql" "redis" -}}
{{- $given := get $values.backends $part -}}
{{- if and (eq $given.kind "external") (not $given.external.url) -}}
{{- fail (printf "backends.%s.kind is external, so backends.%s.external.url is needed." $part $part) -}}
{{- end -}}
{{- if and (eq $given.kind "embedded") $given.external.url -}}
{{- fail (printf "backends.%s.external.url is given but backends.%s.kind is embedded: nothing would use that address." $part $part) -}}
{{- end -}}
{{- end -}}
{{- if and (or (eq $values.backends.postgresql.kind "external") (eq $values.backends.redis.kind "external")) (not $values.secrets.existing) -}}
{{- fail "An external PostgreSQL or Redis has a password that this chart cannot make: name a Secret in secrets.existing." -}}
{{- end -}}
{{- if and (eq $kafka.kind "embedded") (gt (int $kafka.replication) (int $kafka.embedded.brokers)) -}}
{{- fail (printf "backends.kafka.replication is %d but there are %d brokers: a topic cannot have more copies than brokers." (int $kafka.replication) (int $kafka.embedded.brokers)) -}}
{{- end -}}
{{- if and $kafka.strimziCluster (ne $kafka.kind "external") -}}
{{- fail "backends.kafka.strimziCluster names topics of an operator's broker, so backends.kafka.kind must be external." -}}
{{- end -}}
{{- if and $kafka.strimziCluster (not (.Capabilities.APIVersions.Has "kafka.strimzi.io/v1beta2")) -}}
{{- fail "backends.kafka.strimziCluster is set but this cluster has no API kafka.strimzi.io/v1beta2: install Strimzi first." -}}
{{- end -}}
{{- if and (eq $values.ray.kind "external") (not $values.ray.external.address) -}}
{{- fail "ray.kind is external, so ray.external.address is needed." -}}
{{- end -}}
{{- if and (eq $values.gateway.kind "httproute") (not $values.gateway.parents) -}}
{{- fail "gateway.kind is httproute, so gateway.parents must name a Gateway." -}}
{{- end -}}
{{- if and (eq $values.gateway.kind "httproute") (not (.Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1")) -}}
{{- fail "gateway.kind is httproute but this cluster has no API gateway.networking.k8s.io/v1: install it, or use embedded." -}}
{{- end -}}
{{- if and (ne $values.gateway.kind "embedded") (not $values.origin) -}}
{{- fail (printf "gateway.kind is %s, so origin must say under which URL callers reach REST." $values.gateway.kind) -}}
{{- end -}}
{{- if and (ne $values.gateway.service.type "NodePort") (or $values.gateway.service.restNodePort $values.gateway.service.grpcNodePort) -}}
{{- fail "gateway.service.restNodePort and grpcNodePort mean something only if gateway.service.type is NodePort." -}}
{{- end -}}
{{- range $values.peers -}}
{{- if and .did (not $values.organisation.did) -}}
{{- fail (printf "peers names %s by a DID, so organisation.did must say which DID this release has: else its own sites would be shut out." .name) -}}
{{- end -}}
{{- if and .cidr (not .ports) -}}
{{- fail (printf "peers.%s has a cidr but no ports: the network policy would allow nothing." .name) -}}
{{- end -}}
{{- end -}}
{{- $names := dict -}}
{{- $primaries := dict -}}
{{- $works := (include "didymos.workloads" . | fromYaml).items -}}
{{- range $works -}}
{{- $where := printf "services.%s.roles.%s" .service .role -}}
{{- if hasKey $names .name -}}
{{- fail (printf "%s and %s would both be called %s: rename one." $where (get $names .name) .name) -}}
{{- end -}}
{{- $_ := set $names .name $where -}}
{{- if .primary -}}
{{- if hasKey $primaries .service -}}
{{- fail (printf "services.%s has two primary roles, %s and %s: one alone takes what no other role takes." .service (get $primaries .service) .role) -}}
{{- end -}}
{{- $_ := set $primaries .service .role -}}
{{- end -}}
{{- if and .storage (ne .kind "StatefulSet") -}}
{{- fail (printf "%s has storage, so its kind must be StatefulSet: a Deployment's pods would share one disk." $where) -}}
{{- end -}}
{{- if and (eq .service "ledger") (gt (int .replicas) 1) -}}
{{- fail (printf "%s.replicas is %d: a log has one writer." $where (int .replicas)) -}}
{{- end -}}
{{- if and (eq .service "ledger") (ne .scaling.mode "fixed") -}}
{{- fail (printf "%s.scaling.mode is %s: a log has one writer." $where .scaling.mode) -}}
{{- end -}}
{{- if gt (int .scaling.min) (int .scaling.max) -}}
{{- fail (printf "%s.scaling: min is %d and max is %d." $where (int .scaling.min) (int .scaling.max)) -}}
{{- end -}}
{{- if eq .scaling.mode "keda" -}}
{{- if not ($.Capabilities.APIVersions.Has "keda.sh/v1alpha1") -}}
{{- fail (printf "%s.scaling.mode is keda but this cluster has no API keda.sh/v1alpha1: install KEDA, or use fixed or hpa." $where) -}}
{{- end -}}
{{- if not (and .scaling.topic .scaling.group) -}}
{{- fail (printf "%s.scaling.mode is keda, so scaling.topic and scaling.group must say whose lag counts." $where) -}}
{{- end -}}
{{- $max := int .scaling.max -}}
{{- $topic := .scaling.topic -}}
{{- $known := false -}}
{{- range ($.Files.Get "files/topics.yaml" | fromYaml).topics -}}
{{- if eq .name $topic -}}
{{- $known = true -}}
{{- if gt $max (int .partitions) -}}
{{- fail (printf "%s.scaling.max is %d but %s has %d partitions: more pods would be idle." $where $max $topic (int .partitions)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $known -}}
{{- fail (printf "%s.scaling.topic is %s, which the catalogue of topics does not have." $where $topic) -}}
{{- end -}}
{{- end -}}
{{- if and .files (gt (int .replicas) 1) (eq $values.files.accessMode "ReadWriteOnce") (not $values.files.existingClaim) -}}
{{- fail (printf "%s has %d pods that share model files, so files.accessMode must be ReadWriteMany." $where (int .replicas)) -}}
{{- end -}}
{{- end -}}
{{- range $work := $works -}}
{{- range .calls -}}
{{- if not (hasKey $primaries .) -}}
{{- fail (printf "services.%s.calls names %s, which runs nowhere in this release." $work.service .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
