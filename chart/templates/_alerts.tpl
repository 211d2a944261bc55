{{/* The threshold of an alert: prometheusRule.alerts.NAME.threshold, or its default. Called with (list . NAME DEFAULT). */}}
{{- define "slipway.threshold" -}}
{{- $change := get ((first .).Values.prometheusRule.alerts | default dict) (index . 1) | default dict }}
{{- dig "threshold" (last .) $change }}
{{- end }}
