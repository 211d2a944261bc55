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

// Lines of the service say themselves how grave they are and when they were written.
loki.process "pods" {
  stage.json {
    expressions = {level = "", time = ""}
  }
  stage.labels {
    values = {level = ""}
  }
  stage.timestamp {
    source            = "time"
    format            = "RFC3339Nano"
    action_on_failure = "skip"
  }
  forward_to = [loki.write.here.receiver]
}

loki.write "here" {
  endpoint {
    url = "http://{{ $loki }}:3100/loki/api/v1/push"
  }
}
{{- end }}
