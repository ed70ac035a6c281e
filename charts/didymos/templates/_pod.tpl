{{/* What every pod and container of this chart has: Pod Security `restricted`, and no token of the cluster. */}}

{{- define "didymos.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "didymos.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "didymos.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* The settings that all processes of a house share. `migrate`: whether the process brings its schema to head. */}}
{{- define "didymos.houseEnv" -}}
{{- $root := .root -}}
- name: DIDYMOS_HOST
  value: "0.0.0.0"
- name: DIDYMOS_ORIGIN
  value: {{ include "didymos.origin" $root }}
- name: DIDYMOS_KAFKA_URL
  value: {{ include "didymos.kafkaUrl" $root }}
- name: DIDYMOS_KAFKA_REPLICAS
  value: {{ $root.Values.backends.kafka.replication | quote }}
- name: DIDYMOS_POSTGRES_URL
  value: {{ include "didymos.postgresUrl" $root }}
- name: DIDYMOS_POSTGRES_PASSWORD_FILE
  value: /run/didymos/secrets/postgres-password
- name: DIDYMOS_REDIS_URL
  value: {{ include "didymos.redisUrl" $root }}
- name: DIDYMOS_REDIS_PASSWORD_FILE
  value: /run/didymos/secrets/redis-password
- name: DIDYMOS_SECRET_FILE
  value: /run/didymos/secrets/root
- name: DIDYMOS_FILES
  value: /var/lib/didymos/files
- name: DIDYMOS_PEERS
  value: {{ include "didymos.peers" $root | quote }}
- name: DIDYMOS_MIGRATE
  value: {{ $root.Values.jobs.enabled | ternary "false" "true" | quote }}
- name: DIDYMOS_DRAIN_SECONDS
  value: {{ $root.Values.drainSeconds | quote }}
- name: DIDYMOS_LOG_LEVEL
  value: {{ $root.Values.telemetry.logLevel }}
- name: DIDYMOS_TRACE_RATIO
  value: {{ $root.Values.telemetry.traceRatio | quote }}
{{- with $root.Values.telemetry.otlpEndpoint }}
- name: DIDYMOS_OTLP_ENDPOINT
  value: {{ . }}
{{- end }}
{{- include "didymos.peerEnv" $root -}}
{{- end -}}

{{/* Whom of other organisations this one believes: their sites may attend, their logs are cosigned and cosign ours. */}}
{{- define "didymos.peerEnv" -}}
{{- $dids := list -}}
{{- $logs := list -}}
{{- $partners := list -}}
{{- range .Values.peers -}}
{{- with .did }}{{ $dids = append $dids . }}{{ end -}}
{{- with .logKey }}{{ $logs = append $logs . }}{{ end -}}
{{- with .witness }}{{ $partners = append $partners (printf "%s %s" .key .url) }}{{ end -}}
{{- end -}}
{{- if $dids }}
{{- $trusted := prepend $dids .Values.organisation.did | toJson }}
- name: DIDYMOS_IDENTITY__ORGANISATIONS
  value: {{ $trusted | quote }}
- name: DIDYMOS_TRAINING_ORCHESTRATION__ORGANISATIONS
  value: {{ $trusted | quote }}
{{- end }}
{{- if $logs }}
- name: DIDYMOS_LEDGER__LOGS
  value: {{ $logs | toJson | quote }}
{{- end }}
{{- if $partners }}
- name: DIDYMOS_LEDGER__WITNESS_COUNT
  value: "1"
- name: DIDYMOS_LEDGER__PARTNERS
  value: {{ $partners | toJson | quote }}
{{- end }}
{{- end -}}

{{- define "didymos.workEnv" -}}
{{- $section := .service | upper | replace "-" "_" -}}
{{- if ne .role "all" }}
- name: DIDYMOS_{{ $section }}__ROLE
  value: {{ .role }}
{{- end }}
{{- if eq .kind "StatefulSet" }}
- name: DIDYMOS_MEMBER
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- if and .ray (ne .root.Values.ray.kind "off") }}
- name: DIDYMOS_{{ $section }}__SIMULATION__RAY_ADDRESS
  value: {{ include "didymos.rayAddress" .root }}
- name: RAY_AUTH_MODE
  value: token
- name: RAY_AUTH_TOKEN_PATH
  value: /run/didymos/secrets/ray-token
{{- end }}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* The pod of one process of a service. */}}
{{- define "didymos.pod" -}}
{{- $root := .root -}}
{{- $work := .work -}}
metadata:
  labels:
    {{- include "didymos.selector" (dict "root" $root "component" $work.service "role" $work.role) | nindent 4 }}
    app.kubernetes.io/version: {{ $root.Values.images.tag | default $root.Chart.AppVersion | quote }}
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: "8081"
    prometheus.io/path: /metrics
    {{- with $work.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "didymos.name" (dict "root" $root "part" "service") }}
  {{- include "didymos.podSecurity" $root | nindent 2 }}
  {{- include "didymos.placement" $work | nindent 2 }}
  terminationGracePeriodSeconds: {{ int $work.terminationGracePeriodSeconds }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "didymos.selector" (dict "root" $root "component" $work.service "role" $work.role) | nindent 10 }}
  {{- if ($root.Values.development | default dict).sync }}
  initContainers:
    - name: code  # a copy that can be written, without the bytecode that would hide a change
      image: {{ include "didymos.image" (dict "root" $root "name" $work.image "full" $work.imageReference) }}
      imagePullPolicy: {{ $root.Values.images.pullPolicy }}
      command: [sh, -c, "cp -r /opt/code/. /copy && find /copy -name __pycache__ -prune -exec rm -rf {} +"]
      {{- include "didymos.containerSecurity" $root | nindent 6 }}
      resources:
        {{- toYaml $work.resources | nindent 8 }}
      volumeMounts:
        - name: code
          mountPath: /copy
        - name: scratch
          mountPath: /tmp
  {{- end }}
  containers:
    - name: {{ $work.service }}
      image: {{ include "didymos.image" (dict "root" $root "name" $work.image "full" $work.imageReference) }}
      imagePullPolicy: {{ $root.Values.images.pullPolicy }}
      command: [python, -m, {{ printf "didymos_%s" ($work.service | replace "-" "_") }}]
      {{- include "didymos.containerSecurity" $root | nindent 6 }}
      env:
        {{- include "didymos.houseEnv" (dict "root" $root) | nindent 8 }}
        {{- include "didymos.workEnv" (set (deepCopy $work) "root" $root) | nindent 8 }}
      ports:
        - name: rest
          containerPort: 8080
        - name: grpc
          containerPort: 50051
        - name: admin
          containerPort: 8081
      startupProbe:
        httpGet: {path: /healthz/live, port: admin}
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: {path: /healthz/live, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /healthz/ready, port: admin}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      resources:
        {{- toYaml $work.resources | nindent 8 }}
      volumeMounts:
        - name: secrets
          mountPath: /run/didymos/secrets
          readOnly: true
        - name: scratch
          mountPath: /tmp
        {{- if ($root.Values.development | default dict).sync }}
        - name: code
          mountPath: /opt/code
        {{- end }}
        {{- if $work.files }}
        - name: files
          mountPath: /var/lib/didymos/files
        {{- end }}
        {{- with $work.storage }}
        - name: data
          mountPath: {{ .path }}
        {{- end }}
  volumes:
    {{- include "didymos.secretVolume" (dict "root" $root "optional" true "files" $work.secretFiles) | nindent 4 }}
    - name: scratch
      emptyDir:
        sizeLimit: {{ $work.scratch }}
    {{- if ($root.Values.development | default dict).sync }}
    - name: code
      emptyDir:
        sizeLimit: 64Mi
    {{- end }}
    {{- if $work.files }}
    - name: files
      persistentVolumeClaim:
        claimName: {{ $root.Values.files.existingClaim | default (include "didymos.name" (dict "root" $root "part" "files")) }}
    {{- end }}
{{- end -}}

{{/* `optional`: the pod starts without the Secret, says that it waits for it, and goes on when it is there. */}}
{{- define "didymos.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ include "didymos.secret" .root }}
    optional: {{ .optional }}
    defaultMode: 0440
    items:
      - {key: root, path: root}
      - {key: postgres-password, path: postgres-password}
      - {key: redis-password, path: redis-password}
      {{- if ne .root.Values.ray.kind "off" }}
      - {key: ray-token, path: ray-token}
      {{- end }}
      {{- range .files }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end -}}
