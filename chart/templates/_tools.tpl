{{/*
A web interface for a bundled server: one small pod, its Service, and a policy that allows it to reach only that server.
Called with (dict "root" . "name" "pgadmin" "server" "postgresql" "values" VALUES "port" PORT "probe" PATH
"secrets" SOURCES "volumes" NAME-TO-PATH "container" YAML), with "user" if the image needs a different one, and with
"config", the text of a mounted ConfigMap whose changes replace the pod.
*/}}
{{- define "slipway.tool" }}
{{- $call := . }}
{{- $full := printf "%s-%s" (include "slipway.fullname" .root) .name }}
{{- with .root }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "slipway.metadata" (dict "root" . "component" $call.name "name" $full) | nindent 2 }}
spec:
  replicas: 1
  strategy:
    type: RollingUpdate
  selector:
    matchLabels:
      {{- include "slipway.selector" (list . $call.name) | nindent 6 }}
  template:
    metadata:
      {{- include "slipway.pod.metadata" (list . $call.name) | nindent 6 }}
        {{- with $call.config }}
        checksum/config: {{ sha256sum . }}
        {{- end }}
    spec:
      {{- include "slipway.pod.common" (list . (include "slipway.serviceAccountName" .) $call.name) | nindent 6 }}
      restartPolicy: Always
      volumes:
        - name: secrets
          projected:
            defaultMode: 0440
            sources:
              {{- toYaml $call.secrets | nindent 14 }}
        {{- range $volume, $_ := $call.volumes }}
        - name: {{ $volume }}
          emptyDir:
            sizeLimit: 64Mi
        {{- end }}
      containers:
        - name: {{ $call.name }}
          image: {{ include "slipway.registry" (list . $call.values.image) | quote }}
          imagePullPolicy: IfNotPresent
          ports:
            - name: http
              containerPort: {{ $call.port }}
          {{- range tuple "startup" "liveness" "readiness" }}
          {{ . }}Probe:
            httpGet: {path: {{ $call.probe }}, port: http}
            {{- if eq . "startup" }}
            failureThreshold: 30
            {{- end }}
            periodSeconds: 5
            timeoutSeconds: 5
          {{- end }}
          securityContext:
            {{- include "slipway.securityContext" (list . (merge (ternary (dict "runAsUser" $call.user) dict (hasKey $call "user")) .Values.securityContext)) | nindent 12 }}
          resources:
            requests: {cpu: 50m, memory: 128Mi, ephemeral-storage: 64Mi}
            limits: {cpu: 500m, memory: 512Mi, ephemeral-storage: 256Mi}
          {{- $call.container | nindent 10 }}
          volumeMounts:
            - name: secrets
              mountPath: /run/secrets/tool
              readOnly: true
            {{- range $volume, $path := $call.volumes }}
            - name: {{ $volume }}
              mountPath: {{ $path }}
            {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "slipway.metadata" (dict "root" . "component" $call.name "name" $full) | nindent 2 }}
spec:
  selector:
    {{- include "slipway.selector" (list . $call.name) | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
{{- if .Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "slipway.metadata" (dict "root" . "component" "network" "name" $full) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "slipway.selector" (list . $call.name) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .Values.networkPolicy.tools.from }}
  ingress:
    - ports:
        - port: http
      from:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  egress:
    {{- include "slipway.edge.dns" . | nindent 4 }}
    {{- include "slipway.edge.server" (list . $call.server "" dict) | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
