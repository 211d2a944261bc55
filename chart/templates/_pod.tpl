{{/*
The part that all pods of the chart share. Called with (list . ACCOUNT COMPONENT). Only the server takes the whole affinity:
a Job that must keep away from the server's pods might never find a node.
*/}}
{{- define "slipway.pod.common" -}}
{{- $root := first . }}
{{- $values := $root.Values }}
{{- $given := dict }}
{{- range $field := list "dnsConfig" "dnsPolicy" "hostAliases" "nodeSelector" "priorityClassName" "runtimeClassName" "schedulerName" "tolerations" }}
{{- with get $values $field }}{{ $_ := set $given $field . }}{{ end }}
{{- end }}
{{- with (get ($values.affinity | default dict) "nodeAffinity") }}
{{- if ne (last $) "server" }}{{ $_ := set $given "affinity" (dict "nodeAffinity" .) }}{{ end }}
{{- end }}
{{- with include "slipway.pullSecrets" $root | fromYamlArray }}{{ $_ := set $given "imagePullSecrets" . }}{{ end -}}
serviceAccountName: {{ index . 1 | quote }}
automountServiceAccountToken: false
# A Service named slipway would add SLIPWAY_PORT and other variables to the environment.
enableServiceLinks: false
securityContext:
  {{- include "slipway.securityContext" (list $root $values.podSecurityContext) | nindent 2 }}
{{- with $given }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A security context of a pod or container, without the ids that OpenShift assigns. Called with (list . VALUES). */}}
{{- define "slipway.securityContext" -}}
{{- $context := last . }}
{{- if include "slipway.openshift" (first .) }}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" "seLinuxOptions" }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{/* A pod of the service. Called with (list . "server") or another component. */}}
{{- define "slipway.pod" -}}
{{- $root := first . -}}
{{- /* A hook runs before the release's ServiceAccount exists. No token is mounted, so the account does not matter. */ -}}
{{- $early := and (eq (last .) "migration") $root.Values.serviceAccount.create $root.Values.migration.hook -}}
{{ include "slipway.pod.common" (list $root (ternary "default" (include "slipway.serviceAccountName" $root) (not (empty $early))) (last .)) }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ $root.Values.tmpSize }}
  {{- include "slipway.secrets.volume" . | nindent 2 }}
  {{- with $root.Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "slipway.container.common" -}}
image: {{ include "slipway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "slipway.securityContext" (list . .Values.securityContext) | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{/* A container of such a pod. Called like slipway.pod. */}}
{{- define "slipway.container" -}}
{{- $values := (first .).Values -}}
{{ include "slipway.container.common" (first .) }}
env:
  {{- include "slipway.env" . | nindent 2 }}
  {{- with $values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: secrets
    mountPath: /run/secrets/slipway
    readOnly: true
  {{- if include "slipway.authorities.volume" . | trim }}
  - name: authorities
    mountPath: /run/authorities
    readOnly: true
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Labels and annotations of a pod of the chart. Called like slipway.pod. Must not change with the chart's version. */}}
{{- define "slipway.pod.metadata" -}}
{{- $values := (first .).Values }}
{{- $given := dict "podLabels" dict "podAnnotations" dict }}
{{- range $field, $_ := $given }}
{{- $job := ternary (get $values.jobs $field) dict (has (last $) (list "migration" "purge" "backup" "restore" "cron")) }}
{{- $_ := set $given $field (merge dict ($job | default dict) (get $values $field | default dict)) }}
{{- end }}
{{- $selector := include "slipway.selector" . | fromYaml }}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" (last .) -}}
labels:
  {{- merge $selector $given.podLabels ($values.commonLabels | default dict) | toYaml | nindent 2 }}
annotations:
  {{- merge $given.podAnnotations $annotations | toYaml | nindent 2 }}
{{- end }}
