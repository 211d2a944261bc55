{{/* What all pods and containers of the service share. Called with (list . "server") or (list . "migration"). */}}

{{- define "slipway.pod" -}}
{{- $call := . }}
{{- with first . -}}
serviceAccountName: {{ include "slipway.serviceAccountName" . }}
automountServiceAccountToken: false
# A Service named slipway would put SLIPWAY_PORT and more into the environment.
enableServiceLinks: false
# Names outside of the cluster are asked for once, and not first in each of its search domains.
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
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ .Values.tmpSize }}
  {{- include "slipway.secrets.volume" $call | nindent 2 }}
{{- end }}
{{- end }}

{{- define "slipway.container" -}}
{{- $call := . }}
{{- with first . -}}
image: {{ include "slipway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
env:
  {{- include "slipway.env" $call | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: secrets
    mountPath: /run/secrets/slipway
    readOnly: true
{{- end }}
{{- end }}

{{/* Labels and annotations of a pod. Nothing here changes with the chart's version. */}}
{{- define "slipway.pod.metadata" -}}
{{- $root := first . -}}
labels:
  {{- include "slipway.selector" . | nindent 2 }}
  {{- with $root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" (last .) }}
annotations:
  {{- merge (deepCopy $root.Values.podAnnotations) $annotations | toYaml | nindent 2 }}
{{- end }}
