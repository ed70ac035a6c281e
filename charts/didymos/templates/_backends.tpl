{{/* Parts that the in-chart back ends share. */}}

{{- define "didymos.claim" -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .root.Values.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end -}}

{{- define "didymos.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "didymos.labels" .selector | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "didymos.selector" .selector | nindent 6 }}
{{- end -}}

{{/* Changes with what a broker reads at its start, so that a change of it restarts the brokers. */}}
{{- define "didymos.kafkaDigest" -}}
{{- list .suffix .root.Values.backends.kafka.replication (omit .root.Values.backends.kafka.embedded "resources") (.root.Files.Get "files/kafka.sh") | toJson | sha256sum | trunc 16 -}}
{{- end -}}
