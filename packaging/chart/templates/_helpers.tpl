{{- define "sentinel.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* How names end that are valid in the whole cluster. */}}
{{- define "sentinel.domain" -}}
{{- printf "%s.svc.%s" .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "sentinel.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "sentinel.labels" -}}
{{ include "sentinel.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end -}}

{{- define "sentinel.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* All Sentinels, host:port,... */}}
{{- define "sentinel.addresses" -}}
{{- $root := . -}}
{{- $name := include "sentinel.fullname" . -}}
{{- $all := list -}}
{{- range $i := until (int .Values.sentinel.replicas) -}}
{{- $all = append $all (printf "%s-%d.%s-headless.%s:26379" $name $i $name (include "sentinel.domain" $root)) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}

{{/* The master that data nodes and proxies belong to. */}}
{{- define "sentinel.master" -}}
{{- (first .Values.masters).name -}}
{{- end -}}

{{- define "sentinel.secret" -}}
{{- default (printf "%s-passwords" (include "sentinel.fullname" .)) .Values.auth.existingSecret -}}
{{- end -}}

{{/* Whether there are passwords; an empty text is false. */}}
{{- define "sentinel.redis-password" -}}
{{- if or .Values.auth.redisPassword (and .Values.auth.existingSecret .Values.auth.redis) }}yes{{ end -}}
{{- end -}}
{{- define "sentinel.sentinel-password" -}}
{{- if or .Values.auth.sentinelPassword (and .Values.auth.existingSecret .Values.auth.sentinel) }}yes{{ end -}}
{{- end -}}
{{- define "sentinel.any-secret" -}}
{{- if or (include "sentinel.redis-password" .) (include "sentinel.sentinel-password" .) .Values.http.tokenKey }}yes{{ end -}}
{{- end -}}

{{/* What the program's other commands need to reach the Sentinels. */}}
{{- define "sentinel.client-env" -}}
- name: SENTINEL_ADDRS
  value: {{ include "sentinel.addresses" . }}
{{- if include "sentinel.sentinel-password" . }}
- name: SENTINEL_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "sentinel.secret" . }}
      key: {{ .Values.auth.sentinelPasswordKey }}
{{- end }}
{{- end -}}

{{- define "sentinel.pod-env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- end -}}

{{- define "sentinel.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "sentinel.pod-security" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Where pods of one kind go: apart from each other. */}}
{{- define "sentinel.placement" -}}
{{- $root := .root -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if eq $root.Values.antiAffinity.mode "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "sentinel.selector" . | nindent 14 }}
{{- else if eq $root.Values.antiAffinity.mode "hard" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "sentinel.selector" . | nindent 12 }}
{{- end }}
{{- if $root.Values.topologySpread.key }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ $root.Values.topologySpread.key }}
    whenUnsatisfiable: {{ $root.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "sentinel.selector" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* The claim of one StatefulSet, or nothing. */}}
{{- define "sentinel.claim" -}}
volumeClaimTemplates:
  - metadata:
      name: {{ .name }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .values.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .values.size }}
{{- end -}}
