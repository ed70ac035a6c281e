{{/* Names, labels and images. Every template takes its names from here. */}}

{{- define "didymos.name" -}}
{{- printf "%s-%s" .root.Release.Name .part | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "didymos.selector" -}}
app.kubernetes.io/name: didymos
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .role }}
didymos/role: {{ . }}
{{- end }}
{{- end -}}

{{- define "didymos.labels" -}}
{{ include "didymos.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: didymos
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image called `name`; `full`, if given, is the whole reference. */}}
{{- define "didymos.image" -}}
{{- $images := .root.Values.images -}}
{{- if .full -}}
{{- .full -}}
{{- else -}}
{{- $tag := .tag | default $images.tag | default .root.Chart.AppVersion -}}
{{- $path := printf "%s/%s:%s" $images.repository .name $tag -}}
{{- if $images.registry }}{{ printf "%s/%s" $images.registry $path }}{{ else }}{{ $path }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "didymos.secret" -}}
{{- .Values.secrets.existing | default (include "didymos.name" (dict "root" . "part" "secrets")) -}}
{{- end -}}

{{- define "didymos.origin" -}}
{{- .Values.origin | default (printf "http://%s.%s.svc:8080" (include "didymos.name" (dict "root" . "part" "gateway")) .Release.Namespace) | trimSuffix "/" -}}
{{- end -}}

{{- define "didymos.kafkaUrl" -}}
{{- if eq .Values.backends.kafka.kind "embedded" -}}
kafka://{{ include "didymos.name" (dict "root" . "part" "kafka") }}:9092
{{- else -}}
{{ .Values.backends.kafka.external.url }}
{{- end -}}
{{- end -}}

{{/* Every process of every service: its defaults, its own values, and its names. A YAML object with `items`. */}}
{{- define "didymos.workloads" -}}
{{- $root := . -}}
{{- $items := list -}}
{{- range $service, $given := .Values.services -}}
{{- range $role, $own := ($given | default dict).roles -}}
{{- $merged := mergeOverwrite (deepCopy $root.Values.defaults) (deepCopy ($own | default dict)) -}}
{{- if $merged.enabled -}}
{{- $part := eq $role "all" | ternary $service (printf "%s-%s" $service $role) -}}
{{- $name := include "didymos.name" (dict "root" $root "part" $part) -}}
{{- $calls := $given.calls | default list -}}
{{- $items = append $items (merge (dict "service" $service "role" $role "name" $name "calls" $calls "primary" (or $merged.primary (eq $role "all"))) $merged) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "items" $items) -}}
{{- end -}}

{{/* Where a service is called from inside: the process that takes what no other role takes. */}}
{{- define "didymos.peers" -}}
{{- $peers := dict -}}
{{- range (include "didymos.workloads" . | fromYaml).items -}}
{{- if .primary -}}
{{- $_ := set $peers .service (printf "%s:50051" .name) -}}
{{- end -}}
{{- end -}}
{{- toJson $peers -}}
{{- end -}}

{{- define "didymos.jobAccount" -}}
{{- include "didymos.name" (dict "root" . "part" "service") -}}
{{- end -}}

{{- define "didymos.postgresUrl" -}}
{{- if eq .Values.backends.postgresql.kind "embedded" -}}
postgresql://didymos@{{ include "didymos.name" (dict "root" . "part" "postgresql") }}:5432/didymos
{{- else -}}
{{ .Values.backends.postgresql.external.url }}
{{- end -}}
{{- end -}}

{{- define "didymos.redisUrl" -}}
{{- if eq .Values.backends.redis.kind "embedded" -}}
redis://{{ include "didymos.name" (dict "root" . "part" "redis") }}:6379/0
{{- else -}}
{{ .Values.backends.redis.external.url }}
{{- end -}}
{{- end -}}

{{- define "didymos.rayAddress" -}}
{{- if eq .Values.ray.kind "embedded" -}}
ray://{{ include "didymos.name" (dict "root" . "part" "ray") }}:10001
{{- else -}}
{{ .Values.ray.external.address }}
{{- end -}}
{{- end -}}
