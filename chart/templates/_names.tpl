{{/* Names and labels. Templates use no helpers of subcharts, so the chart renders without them. */}}

{{- define "slipway.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for a label with the longest suffix (`-migrate-` and a hash). A name that is cut gets a hash, or others could be equal. */}}
{{- define "slipway.fullname" -}}
{{- $full := include "slipway.fullname.whole" . }}
{{- gt (len $full) 40 | ternary (printf "%s-%s" (trunc 31 $full | trimSuffix "-") ($full | sha256sum | trunc 8)) $full }}
{{- end }}

{{- define "slipway.fullname.whole" -}}
{{- $name := include "slipway.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $full }}
{{- end }}

{{- define "slipway.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "slipway.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "slipway.image" -}}
{{- with .Values.image }}
{{- $version := printf ":%s" (.tag | default $.Chart.AppVersion) }}
{{- include "slipway.registry" (list $ .repository) }}{{ if .digest }}@{{ .digest }}{{ else }}{{ $version }}{{ end }}
{{- end }}
{{- end }}

{{/* An image from global.imageRegistry, if that is set, instead of its own registry. Called with (list . IMAGE). */}}
{{- define "slipway.registry" -}}
{{- $image := last . }}
{{- with ((first .).Values.global).imageRegistry }}
{{- $host := splitList "/" $image | first }}
{{- if and (contains "/" $image) (regexMatch "[.:]|^localhost$" $host) }}
{{- $image = trimPrefix (printf "%s/" $host) $image }}
{{- end }}
{{- $image = printf "%s/%s" (trimSuffix "/" .) $image }}
{{- end }}
{{- $image }}
{{- end }}

{{/* Names of the Secrets for pulling images, as a list. Both values take names, or objects with a name as pods do. */}}
{{- define "slipway.pullSecrets" -}}
{{- $names := list }}
{{- range concat (.Values.image.pullSecrets | default list) ((.Values.global).imagePullSecrets | default list) }}
{{- $names = append $names (dict "name" (kindIs "string" . | ternary . (get (kindIs "map" . | ternary . dict) "name"))) }}
{{- end }}
{{- uniq $names | toYaml }}
{{- end }}

{{/* Whether the platform assigns the user and group of pods, as OpenShift does. By the rule of the bundled charts. */}}
{{- define "slipway.openshift" -}}
{{- if or (eq .Values.targetPlatform "openshift") (.Capabilities.APIVersions.Has "route.openshift.io/v1") }}true{{ end }}
{{- end }}

{{/* The seconds of a duration such as 30s, 500ms or 1m. Called with the duration. */}}
{{- define "slipway.seconds" -}}
{{- $unit := regexFind "[a-z]+$" . }}
{{- mulf (regexFind "^[0-9]+" . | float64) (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit) }}
{{- end }}

{{/* Selector of all pods of the service, and none of a bundled server. Must not change between versions. */}}
{{- define "slipway.selector.all" -}}
app.kubernetes.io/name: {{ include "slipway.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Selector of one component's pods. Called with (list . "server"). Must not change between versions. */}}
{{- define "slipway.selector" -}}
{{ include "slipway.selector.all" (first .) }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* The components that run to completion. They use only the database. */}}
{{- define "slipway.jobs" -}}
{{- $jobs := list }}
{{- if .Values.migration.enabled }}{{ $jobs = append $jobs "migration" }}{{ end }}
{{- if .Values.purge.enabled }}{{ $jobs = append $jobs "purge" }}{{ end }}
{{- if .Values.backup.enabled }}{{ $jobs = concat $jobs (list "backup" "restore") }}{{ end }}
{{- join ", " $jobs }}
{{- end }}

{{/* Whether an autoscaler of this chart sets the number of pods. */}}
{{- define "slipway.autoscaled" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled }}true{{ end }}
{{- end }}

{{/* Labels that no value replaces. Called with (list . "server"). */}}
{{- define "slipway.labels.fixed" -}}
{{- $root := first . -}}
{{ include "slipway.selector" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
Metadata of an object. Called with (dict "root" . "component" "server"), and optionally "name" or "suffix" (default: the full
name), "namespace" (default: the release's), "labels" and "annotations".
*/}}
{{- define "slipway.metadata" -}}
{{- $values := .root.Values }}
{{- $full := include "slipway.fullname" .root }}
{{- $version := $values.image.tag | default .root.Chart.AppVersion | trunc 63 | trimAll "-_." }}
{{- $defaults := dict "app.kubernetes.io/part-of" "slipway" "app.kubernetes.io/version" $version }}
{{- $fixed := include "slipway.labels.fixed" (list .root .component) | fromYaml -}}
name: {{ .name | default (empty .suffix | ternary $full (printf "%s-%s" $full .suffix)) | quote }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
labels:
  {{- merge $fixed (.labels | default dict) ($values.commonLabels | default dict) $defaults | toYaml | nindent 2 }}
{{- with merge dict (.annotations | default dict) ($values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The Secret that this chart generates. Named after the release only, so that subcharts' values can name it too. */}}
{{- define "slipway.credentials" -}}
{{- printf "%s-credentials" .Release.Name }}
{{- end }}

{{/* The main Service of a bundled subchart, by the subchart's rule for full names. Called with (list . "postgresql"). */}}
{{- define "slipway.bundled.host" -}}
{{- $root := first . }}
{{- $values := index $root.Values (last .) }}
{{- $name := dig "nameOverride" "" $values | default (last .) }}
{{- $full := ternary $root.Release.Name (printf "%s-%s" $root.Release.Name $name) (contains $name $root.Release.Name) }}
{{- dig "fullnameOverride" "" $values | default $full | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Selector of a bundled subchart's pods, by the subchart's rule. Called with (list . "postgresql"). */}}
{{- define "slipway.bundled.selector" -}}
app.kubernetes.io/name: {{ dig "nameOverride" "" (index (first .).Values (last .)) | default (last .) | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ (first .).Release.Name | quote }}
{{- end }}

{{/* The port that a bundled subchart's pods listen on, which may differ from its Service's. Called with (list . "postgresql"). */}}
{{- define "slipway.bundled.port" -}}
{{- $service := dig "service" dict (index (first .).Values (last .)) }}
{{- if eq (last .) "postgresql" }}{{ $service.targetPort | default 5432 }}{{ else }}{{ $service.port | default 6379 }}{{ end }}
{{- end }}

{{/* Name of the bundled Grafana, by the rule of its chart, a part of kube-prometheus-stack. */}}
{{- define "slipway.grafana" -}}
{{- $values := dig "grafana" dict (index .Values "kube-prometheus-stack") }}
{{- $name := dig "nameOverride" "" $values | default "grafana" }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- dig "fullnameOverride" "" $values | default $full | trunc 63 | trimSuffix "-" }}
{{- end }}
