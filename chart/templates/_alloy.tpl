{{/*
Configuration of the bundled Alloy: sends the log lines of its namespace's pods to the bundled Loki. The chart `alloy`
includes it, so it sees that chart's values, not this one's. Loki's name follows the rule of its own chart.
*/}}
{{- define "slipway.alloy" -}}
{{- $loki := ternary .Release.Name (printf "%s-loki" .Release.Name) (contains "loki" .Release.Name) | trunc 63 | trimSuffix "-" -}}
discovery.kubernetes "pods" {
  role = "pod"
  namespaces {
    own_namespace = true
  }
}

discovery.relabel "pods" {
  targets = discovery.kubernetes.pods.targets
  {{- range $label, $source := dict
    "namespace" "namespace"
    "pod" "pod_name"
    "container" "pod_container_name"
    "app" "pod_label_app_kubernetes_io_name"
    "component" "pod_label_app_kubernetes_io_component" }}
  rule {
    source_labels = ["__meta_kubernetes_{{ $source }}"]
    target_label  = "{{ $label }}"
  }
  {{- end }}
}

loki.source.kubernetes "pods" {
  targets    = discovery.relabel.pods.output
  forward_to = [loki.process.pods.receiver]
}

{{ include "slipway.alloy.lines" . }}
loki.write "here" {
  endpoint {
    url = "http://{{ $loki }}:3100/loki/api/v1/push"
  }
}
{{- end }}

{{/* What becomes of a line. The stack of Docker Compose has the same text: `make compose-files`. */}}
{{- define "slipway.alloy.lines" -}}
// Lines of the service have their level, time and ids. Ids are not labels, because each would be a stream of its own.
loki.process "pods" {
  stage.json {
    expressions = {level = "", time = "", request_id = "", trace_id = ""}
  }
  stage.labels {
    values = {level = ""}
  }
  stage.structured_metadata {
    values = {request_id = "", trace_id = ""}
  }
  stage.timestamp {
    source            = "time"
    format            = "RFC3339Nano"
    action_on_failure = "skip"
  }
  forward_to = [loki.write.here.receiver]
}
{{- end }}
