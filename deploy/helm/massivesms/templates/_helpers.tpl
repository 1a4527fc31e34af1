{{- define "massivesms.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "massivesms.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "massivesms.labels" -}}
{{ include "massivesms.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "massivesms.image" -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end -}}
{{- end -}}

{{/* A pod of the service: root, component, args (a list), resources, replicas, and owner or address if true. */}}
{{- define "massivesms.pod" -}}
metadata:
  labels:
    {{- include "massivesms.selector" . | nindent 4 }}
  annotations:
    # A change of the carriers restarts the pods.
    checksum/carriers: {{ .root.Values.carriers | sha256sum }}
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  # A process ends within ten seconds of SIGTERM.
  terminationGracePeriodSeconds: 20
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile:
      type: RuntimeDefault
  {{- if gt (int .replicas) 1 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "massivesms.selector" . | nindent 10 }}
  {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: msvs
      image: {{ include "massivesms.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args:
        {{- toYaml .args | nindent 8 }}
      env:
        - name: MSVS_ENV
          value: production
        - name: MSVS_PUBLIC_URL
          value: {{ .root.Values.publicUrl | quote }}
        - name: DATA_DIR
          value: /var/lib/msvs
        - name: HOST
          value: {{ .root.Values.api.host | quote }}
        - name: PORT
          value: "8000"
        {{- with .root.Values.trustedProxies }}
        - name: MSVS_TRUSTED_PROXIES
          value: {{ join "," . | quote }}
        {{- end }}
        {{- if .root.Values.carriers }}
        - name: MSVS_CARRIERS
          value: /etc/msvs/carriers.toml
        {{- end }}
        {{- if .address }}
        # Where workers on other nodes reach the process.
        - name: MSVS_SESSIONS_HOST
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
        {{- end }}
        {{- range $name, $value := .root.Values.env }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      envFrom:
        - secretRef:
            name: {{ .root.Values.secrets.service }}
        {{- if .owner }}
        - secretRef:
            name: {{ .root.Values.secrets.owner }}
        {{- end }}
      {{- if eq .component "api" }}
      ports:
        - name: http
          containerPort: 8000
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 2
      lifecycle:
        # The pod is taken out of the endpoints while it is told to stop: new requests still come for a moment.
        preStop:
          exec:
            command: [sleep, "5"]
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        - {name: state, mountPath: /var/lib/msvs}
        - {name: tmp, mountPath: /tmp}
        {{- if .root.Values.carriers }}
        - {name: carriers, mountPath: /etc/msvs, readOnly: true}
        {{- end }}
  volumes:
    - name: state
      emptyDir: {}
    # Uploads and files that are read for imports.
    - name: tmp
      emptyDir:
        sizeLimit: 6Gi
    {{- if .root.Values.carriers }}
    - name: carriers
      configMap:
        name: {{ include "massivesms.name" .root }}-carriers
    {{- end }}
{{- end -}}
