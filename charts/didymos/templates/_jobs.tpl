{{/* Jobs of the service image: `python -m didymos_kit.jobs <arguments>`. */}}
{{- define "didymos.job" -}}
{{- $root := .root -}}
spec:
  backoffLimit: {{ .retries }}
  activeDeadlineSeconds: 600
  {{- with .ttl }}
  ttlSecondsAfterFinished: {{ . }}
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "didymos.selector" (dict "root" $root "component" .component) | nindent 8 }}
    spec:
      serviceAccountName: {{ .account }}
      {{- include "didymos.podSecurity" $root | replace "automountServiceAccountToken: false" (printf "automountServiceAccountToken: %t" .token) | nindent 6 }}
      restartPolicy: Never
      containers:
        - name: {{ .component }}
          image: {{ include "didymos.image" (dict "root" $root "name" "service" "full" "") }}
          imagePullPolicy: {{ $root.Values.images.pullPolicy }}
          command:
            - python
            - -m
            - didymos_kit.jobs
            {{- range .arguments }}
            - {{ . | quote }}
            {{- end }}
          {{- include "didymos.containerSecurity" $root | nindent 10 }}
          {{- if .env }}
          env:
            {{- include "didymos.houseEnv" (dict "root" $root) | nindent 12 }}
          {{- end }}
          resources:
            {{- toYaml $root.Values.jobs.resources | nindent 12 }}
          volumeMounts:
            {{- if .env }}
            - name: secrets
              mountPath: /run/didymos/secrets
              readOnly: true
            {{- end }}
            - name: scratch
              mountPath: /tmp
      volumes:
        {{- if .env }}
        {{- include "didymos.secretVolume" (dict "root" $root "optional" false) | nindent 8 }}
        {{- end }}
        - name: scratch
          emptyDir:
            sizeLimit: 64Mi
{{- end -}}
