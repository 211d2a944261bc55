{{/*
The enabled bundled programs for monitoring, logs and ingress: the labels of their pods, the ports of their metrics, whether
they use the API server, which others they call and at which ports (empty: all), and other allowed connections.
networkpolicy-observability.yaml makes their policies from this.
*/}}
{{- define "slipway.parts" -}}
{{- $stack := index .Values "kube-prometheus-stack" }}
{{- if $stack.enabled }}
prometheus-operator:
  pods: {app.kubernetes.io/component: prometheus-operator, app.kubernetes.io/instance: {{ .Release.Name | quote }}}
  metrics: [8080]
  api: true
kube-state-metrics:
  pods: {app.kubernetes.io/name: kube-state-metrics, app.kubernetes.io/instance: {{ .Release.Name | quote }}}
  metrics: [8080]
  api: true
prometheus:
  pods: {app.kubernetes.io/name: prometheus, app.kubernetes.io/managed-by: prometheus-operator}
  metrics: [9090, 8080]
  api: true
  calls: {alertmanager: [9093]}
  # Whatever monitors select: pods of all namespaces, and the kubelet of each node.
  egress:
    - to: [{namespaceSelector: {}}]
    - ports: [{port: 10250}]
{{- if dig "grafana" "enabled" true $stack }}
grafana:
  pods: {app.kubernetes.io/name: {{ dig "grafana" "nameOverride" "" $stack | default "grafana" | quote }}, app.kubernetes.io/instance: {{ .Release.Name | quote }}}
  metrics: [3000]
  api: true
  calls: {prometheus: [9090], loki: [3100]}
  {{- with .Values.networkPolicy.grafana.from }}
  ingress:
    - ports: [{port: 3000}]
      from:
        {{- toYaml . | nindent 8 }}
  {{- end }}
{{- end }}
{{- if dig "alertmanager" "enabled" true $stack }}
alertmanager:
  pods: {app.kubernetes.io/name: alertmanager, app.kubernetes.io/managed-by: prometheus-operator}
  metrics: [9093, 8080]
  calls: {alertmanager: []}
  # Any receiver of notifications.
  egress: [{}]
{{- end }}
{{- end }}
{{- if .Values.loki.enabled }}
loki:
  pods:
    {{- include "slipway.bundled.selector" (list . "loki") | nindent 4 }}
  metrics: [3100]
  calls: {loki: []}
{{- end }}
{{- if .Values.alloy.enabled }}
alloy:
  pods:
    {{- include "slipway.bundled.selector" (list . "alloy") | nindent 4 }}
  metrics: [12345]
  api: true
  calls: {loki: [3100]}
  {{- if not .Values.loki.enabled }}
  # Wherever a custom configuration sends logs.
  egress: [{}]
  {{- end }}
{{- end }}
{{- if .Values.traefik.enabled }}
traefik:
  pods: {app.kubernetes.io/name: traefik, app.kubernetes.io/instance: {{ printf "%s-%s" .Release.Name .Release.Namespace | trunc 63 | trimSuffix "-" | quote }}}
  metrics: [9100]
  api: true
  ingress:
    - ports: [{port: web}, {port: websecure}]
  egress:
    - to: [{podSelector: {}}]
{{- end }}
{{- end }}
