{{/* The part that all pods of the service's image share. Called with (list . ACCOUNT). */}}
{{- define "slipway.pod.common" -}}
serviceAccountName: {{ last . | quote }}
{{- with first . }}
automountServiceAccountToken: false
# A Service named slipway would add SLIPWAY_PORT and other variables to the environment.
enableServiceLinks: false
# Resolve external names with one query, instead of trying each of the cluster's search domains first.
dnsConfig:
  options:
    - name: ndots
      value: "2"
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* A pod of the service. Called with (list . "server") or another component. */}}
{{- define "slipway.pod" -}}
{{- $root := first . -}}
{{- /* A hook runs before the release's ServiceAccount exists. No token is mounted, so the account does not matter. */ -}}
{{- $early := and (eq (last .) "migration") $root.Values.serviceAccount.create $root.Values.migration.hook -}}
{{ include "slipway.pod.common" (list $root (ternary "default" (include "slipway.serviceAccountName" $root) (not (empty $early)))) }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ $root.Values.tmpSize }}
  {{- include "slipway.secrets.volume" . | nindent 2 }}
{{- end }}

{{- define "slipway.container.common" -}}
image: {{ include "slipway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{/* A container of such a pod. Called like slipway.pod. */}}
{{- define "slipway.container" -}}
{{ include "slipway.container.common" (first .) }}
env:
  {{- include "slipway.env" . | nindent 2 }}
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
{{- end }}

{{/* Labels and annotations of a pod. Must not change with the chart's version. */}}
{{- define "slipway.pod.metadata" -}}
{{- $root := first . -}}
labels:
  {{- include "slipway.selector" . | nindent 2 }}
  {{- with $root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" (last .) }}
annotations:
  {{- merge (deepCopy ($root.Values.podAnnotations | default dict)) $annotations | toYaml | nindent 2 }}
{{- end }}
