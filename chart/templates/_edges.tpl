{{/* The allowed connections, each as NetworkPolicy rules of one direction. */}}

{{- define "slipway.edge.dns" -}}
{{- with .Values.networkPolicy.dns -}}
- ports:
    - {protocol: UDP, port: {{ .port }}}
    - {protocol: TCP, port: {{ .port }}}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "slipway.edge.apiServer" -}}
{{- with .Values.networkPolicy.apiServer -}}
- ports:
    {{- range .ports }}
    - port: {{ . }}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* To or from pods of this namespace. Called with (list "to" LABELS PORTS); without ports: all. */}}
{{- define "slipway.edge" -}}
- {{ first . }}:
    - podSelector:
        matchLabels:
          {{- toYaml (index . 1) | nindent 10 }}
  {{- with last . }}
  ports:
    {{- range . }}
    - port: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "slipway.edge.database" -}}
{{- include "slipway.edge.server" (list . "postgresql" (include "slipway.database" .) .Values.networkPolicy.database) }}
{{- end }}

{{/* To PostgreSQL itself, if the service goes through a pooler. */}}
{{- define "slipway.edge.direct" -}}
{{- with (include "slipway.database" . | fromYaml).direct -}}
- ports:
    - port: {{ .port }}
  {{- with $.Values.networkPolicy.database.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Egress rules of the service and of the jobs of its domains. */}}
{{- define "slipway.edge.service" -}}
{{ include "slipway.edge.dns" . }}
{{ include "slipway.edge.database" . }}
{{- with include "slipway.edge.redis" . }}
{{ . }}
{{- end }}
{{- with .Values.networkPolicy.otlp }}
{{- if .to }}
- ports:
    - port: {{ .port }}
  to:
    {{- toYaml .to | nindent 4 }}
{{- end }}
{{- end }}
{{- with .Values.networkPolicy.egress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Egress rules of jobs. */}}
{{- define "slipway.edge.jobs" -}}
{{ include "slipway.edge.dns" . }}
{{ include "slipway.edge.database" . }}
{{- with include "slipway.edge.direct" . }}
{{ . }}
{{- end }}
{{- with .Values.networkPolicy.jobs.egress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "slipway.edge.redis" -}}
{{- $redis := include "slipway.redis" . }}
{{- if fromYaml $redis }}
{{- include "slipway.edge.server" (list . "redis" $redis .Values.networkPolicy.redis) }}
{{- end }}
{{- end }}

{{/* To the pods of a bundled server, or to an external one. Called with (list . "redis" SERVER PEERS). */}}
{{- define "slipway.edge.server" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 -}}
{{- if index $root.Values $name "enabled" -}}
- ports:
    - port: {{ include "slipway.bundled.port" (list $root $name) }}
  to:
    - podSelector:
        matchLabels:
          {{- include "slipway.bundled.selector" (list $root $name) | nindent 10 }}
{{- else -}}
- ports:
    - port: {{ get (index . 2 | fromYaml) "port" }}
    {{- range get (index . 2 | fromYaml) "ports" | default list }}
    - port: {{ . }}
    {{- end }}
  {{- with (index . 3).to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Ingress rules of a bundled server. Called with (list . "redis" COMPONENTS EXPORTER_PORT). */}}
{{- define "slipway.bundled.policy" }}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "slipway.metadata" (dict "root" $root "component" "network" "name" (include "slipway.bundled.host" (list $root $name))) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "slipway.bundled.selector" (list $root $name) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - port: {{ include "slipway.bundled.port" (list $root $name) }}
      from:
        - podSelector:
            matchLabels:
              {{- include "slipway.selector.all" $root | nindent 14 }}
            matchExpressions:
              - {key: app.kubernetes.io/component, operator: In, values: [{{ index . 2 | join ", " }}]}
    {{- if and (dig "metrics" "enabled" false (index $root.Values $name)) $root.Values.networkPolicy.metrics.from }}
    - ports:
        - port: {{ index . 3 }}
      from:
        {{- toYaml $root.Values.networkPolicy.metrics.from | nindent 8 }}
    {{- end }}
{{- end }}
