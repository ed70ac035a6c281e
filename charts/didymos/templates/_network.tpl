{{/* Parts of network policies. */}}

{{/* Not empty if the service owns or reads a topic, as files/topics.yaml says. */}}
{{- define "didymos.readsLog" -}}
{{- $service := .service -}}
{{- range .topics -}}
{{- if or (eq .owner $service) (eq .owner "*") (has $service .readers) (has "*" .readers) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- define "didymos.toBackend" -}}
- to:
  {{- if eq .given.kind "embedded" }}
    - podSelector:
        matchLabels:
          {{- include "didymos.selector" (dict "root" .root "component" .part) | nindent 10 }}
  ports:
    - {port: {{ .port }}}
  {{- else }}
    {{- range .given.external.cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports:
    {{- range .given.external.ports }}
    - {port: {{ int . }}}
    {{- end }}
  {{- end }}
{{- end -}}
