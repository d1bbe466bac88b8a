{{/* The template of a node's pod. */}}
{{- define "iof.pod" -}}
metadata:
  labels:
    {{- include "iof.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A pod reads its settings once, so other settings are other pods.
    checksum/config: {{ .Values.config | sha256sum }}
    {{- if .Values.metrics.port }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ .Values.metrics.port | quote }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  # Variables of services that begin with IOF_ would be taken for settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.shutdown.drain .Values.shutdown.calls 15 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    # A large volume would be walked at each start.
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if include "iof.fleet" . }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "iof.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: iof
      image: {{ include "iof.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/iof/iof.toml]
      env:
        - name: IOF_LISTEN
          value: 0.0.0.0:8080
        - name: IOF_DATA
          value: /var/lib/iof
        - name: IOF_LOG_FORMAT
          value: json
        - name: IOF_SERVER_STOP_WAIT
          value: {{ .Values.shutdown.calls }}s
        {{- if .Values.metrics.port }}
        - name: IOF_METRICS_LISTEN
          value: 0.0.0.0:{{ .Values.metrics.port }}
        {{- end }}
        {{- with .Values.publicUrl }}
        - name: IOF_PUBLIC_URL
          value: {{ . | quote }}
        {{- end }}
        {{- with .Values.proxies }}
        - name: IOF_SERVER_PROXIES
          value: {{ join "," . | quote }}
        {{- end }}
        {{- include "iof.secretVariable" (list "IOF_AUTH_KEYS" .Values.auth) | nindent 8 }}
        {{- if .Values.secrets.secret }}
        {{- include "iof.secretVariable" (list "IOF_SECRETS_KEYS" .Values.secrets) | nindent 8 }}
        {{- end }}
        {{- with .Values.store.url }}
        - name: IOF_STORE_URL
          value: {{ . | quote }}
        {{- end }}
        {{- if .Values.store.secret }}
        {{- include "iof.secretVariable" (list "IOF_STORE_URL" .Values.store) | nindent 8 }}
        {{- end }}
        {{- if .Values.sources.claim }}
        - name: IOF_STORE_SOURCES
          value: /var/lib/iof-sources
        {{- end }}
      ports:
        - name: http
          containerPort: 8080
        {{- if .Values.metrics.port }}
        - name: metrics
          containerPort: {{ .Values.metrics.port }}
        {{- end }}
      # The store is opened, and old artefacts are looked through: two minutes, as in the unit for systemd.
      startupProbe:
        httpGet:
          path: /readyz
          port: http
        periodSeconds: 2
        failureThreshold: 60
        timeoutSeconds: 2
      readinessProbe:
        httpGet:
          path: /readyz
          port: http
        periodSeconds: 5
        failureThreshold: 2
        timeoutSeconds: 2
      # A server that answers lives, also without its database: a restart would not help.
      livenessProbe:
        httpGet:
          path: /healthz
          port: http
        periodSeconds: 10
        failureThreshold: 6
        timeoutSeconds: 5
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.shutdown.drain }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: data
          mountPath: /var/lib/iof
        - name: config
          mountPath: /etc/iof
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- if .Values.sources.claim }}
        - name: sources
          mountPath: /var/lib/iof-sources
        {{- end }}
        {{- if .Values.store.caSecret }}
        - name: database
          mountPath: /etc/iof-database
          readOnly: true
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "iof.name" . }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.volume.tmp }}
    {{- with .Values.store.caSecret }}
    - name: database
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with .Values.sources.claim }}
    - name: sources
      persistentVolumeClaim:
        claimName: {{ . }}
    {{- end }}
    {{- if include "iof.fleet" . }}
    - name: data
      emptyDir:
        sizeLimit: {{ .Values.volume.size }}
    {{- else if .Values.volume.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.volume.existingClaim }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* A variable of the environment with the value of a secret. */}}
{{- define "iof.secretVariable" -}}
{{- $name := index . 0 -}}
{{- $from := index . 1 -}}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.secret }}
      key: {{ $from.key }}
{{- end -}}
