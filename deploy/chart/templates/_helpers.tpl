{{- define "iof.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "iof.selector" -}}
app.kubernetes.io/name: iof
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "iof.labels" -}}
{{ include "iof.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "iof.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* "true" if there are many nodes, or may be. */}}
{{- define "iof.fleet" -}}
{{- if or .Values.store.url .Values.store.secret -}}true{{- end -}}
{{- end -}}

{{/* Values that contradict each other. */}}
{{- define "iof.check" -}}
{{- $values := .Values -}}
{{- if not $values.auth.secret -}}
{{- fail "auth.secret is empty: without keys everybody in the cluster could deploy. Make one: kubectl create secret generic iof-auth --from-literal=keys=$(openssl rand -hex 24), and set auth.secret=iof-auth." -}}
{{- end -}}
{{- $fleet := include "iof.fleet" . -}}
{{- if and (gt (int $values.replicas) 1) (not $fleet) -}}
{{- fail (printf "replicas is %d without store.url or store.secret: nodes with a database of their own each would have different functions. Set store.*, or replicas=1." (int $values.replicas)) -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (not $fleet) -}}
{{- fail "autoscaling.enabled without store.url or store.secret: nodes with a database of their own each would have different functions. Set store.*, or autoscaling.enabled=false." -}}
{{- end -}}
{{- if and $values.store.url $values.store.secret -}}
{{- fail "store.url and store.secret are both set. Keep one." -}}
{{- end -}}
{{- if and $fleet (not $values.sources.claim) -}}
{{- fail "store.* is set without sources.claim: the nodes of a fleet share their modules. Set sources.claim to a volume claim with ReadWriteMany." -}}
{{- end -}}
{{- if and $fleet (not $values.secrets.secret) -}}
{{- fail "store.* is set without secrets.secret: each node would encrypt secrets under a key of its own. Make one: kubectl create secret generic iof-secrets --from-literal=key=$(openssl rand -hex 32), and set secrets.secret=iof-secrets." -}}
{{- end -}}
{{- if and (not $fleet) $values.sources.claim -}}
{{- fail "sources.claim is set without store.url or store.secret: one node keeps its modules in its volume. Set store.*, or leave sources.claim out." -}}
{{- end -}}
{{- if and $fleet $values.volume.existingClaim -}}
{{- fail "volume.existingClaim is set, and store.*, too: the nodes of a fleet have no volume. Leave it out." -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.min) (int $values.autoscaling.max)) -}}
{{- fail (printf "autoscaling.min is more than autoscaling.max: got %d and %d." (int $values.autoscaling.min) (int $values.autoscaling.max)) -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (eq (int $values.metrics.port) 0) -}}
{{- fail "autoscaling.enabled with metrics.port=0: it is by the metrics. Set metrics.port." -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.ingress.host) -}}
{{- fail "ingress.enabled without ingress.host. Set the name that clients use." -}}
{{- end -}}
{{- end -}}
