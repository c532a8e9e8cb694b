/** `find` is met in the source exactly once, unless `times` says otherwise; `put` takes its place as it stands. */
export interface Edit {
  readonly find: string | RegExp;
  readonly put: string;
  readonly times?: number;
}

export interface Template {
  /** File below `manifests/`. */
  readonly source: string;
  /** Condition on values under which the chart has it. */
  readonly when?: string;
  readonly edits?: readonly Edit[];
}

/** The lines below `header`, a whole line that stands in the file once, that are indented deeper. */
type Block = (path: string, header: string) => string;

/** Files that become templates with no more than the namespace of the release are not listed here. */
export function templatesOf(block: Block): readonly Template[] {
  return [
    { source: 'base/datastore.yaml', when: 'not .Values.datastore.existingClaim', edits: claim(block) },
    { source: 'base/operator.yaml', edits: operator(block) },
    {
      source: 'components/host-path/volume.yaml',
      when: '.Values.datastore.hostPath',
      edits: [
        keep('  name: gueststore-datastore\n  labels:'),
        size,
        { find: 'path: /var/lib/gueststore/datastore', put: 'path: {{ .Values.datastore.hostPath | quote }}' },
      ],
    },
    { source: 'components/daemon/daemon.yaml', when: '.Values.daemon.enabled', edits: daemon(block) },
    { source: 'components/network-policies/network-policies.yaml', when: '.Values.networkPolicies.enabled' },
    { source: 'components/disruption-budget/disruption-budget.yaml', when: '.Values.podDisruptionBudget.enabled' },
    { source: 'components/priority-class/priority-class.yaml', when: '.Values.priorityClass.enabled' },
    { source: 'monitoring/pod-monitors.yaml', when: '.Values.monitoring.enabled' },
    { source: 'monitoring/prometheus-rule.yaml', when: '.Values.monitoring.enabled' },
  ];
}

const size: Edit = { find: /(?<=storage: ).*/, put: '{{ .Values.datastore.size }}' };

/** Uninstalling a release leaves the object. `find` is where the labels of its metadata begin. */
export function keep(find: string): Edit {
  const put = find.replace(/( *)labels:$/, '$1annotations:\n$1  helm.sh/resource-policy: keep\n$1labels:');
  return { find, put };
}

function claim(block: Block): Edit[] {
  return [
    keep('  labels:'),
    { find: /accessModes: .*/, put: 'accessModes: [{{ .Values.datastore.accessMode }}]' },
    size,
    {
      find: '\nspec:\n',
      put: `
spec:
{{- if .Values.datastore.hostPath }}
${block('components/host-path/datastore.yaml', 'spec:')}
{{- else if .Values.datastore.storageClassName }}
  storageClassName: {{ .Values.datastore.storageClassName | quote }}
{{- end }}
`,
    },
  ];
}

function operator(block: Block): Edit[] {
  return [
    { find: /(?<=replicas: ).*/, put: '{{ .Values.operator.replicas }}' },
    ...everyPod('operator'),
    {
      find: '      serviceAccountName: gueststore-operator\n',
      put: `      serviceAccountName: gueststore-operator
{{- $hosts := ternary (dict "gueststore.dev/host" "true") dict (ne .Values.datastore.hostPath "") }}
{{- with merge (dict) .Values.operator.nodeSelector $hosts }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
{{- end }}
{{- if .Values.spread.enabled }}
${block('components/spread/operator.yaml', '    spec:')}
{{- end }}
`,
    },
    {
      find: '                  fieldPath: metadata.name\n',
      put: `                  fieldPath: metadata.name
{{- with .Values.operator.extraEnv }}
            {{- toYaml . | nindent 12 }}
{{- end }}
`,
    },
    mounts('operator', '            - name: datastore\n              mountPath: /datastore\n'),
    volumes('operator'),
  ];
}

function daemon(block: Block): Edit[] {
  const hostPath = 'components/host-path/daemon.yaml';
  const unprivileged = 'components/unprivileged-daemon/daemon.yaml';
  return [
    ...everyPod('daemon'),
    {
      find: '      nodeSelector:\n        gueststore.dev/host: "true"\n',
      put: `{{- with .Values.daemon.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
{{- end }}
`,
    },
    {
      find: '      securityContext:\n        seccompProfile:\n',
      put: `      securityContext:
{{- if .Values.daemon.unprivileged }}
${block(unprivileged, '      securityContext:').replace(
  /supplementalGroups: .*/,
  'supplementalGroups: {{ toJson .Values.daemon.supplementalGroups }}',
)}
{{- end }}
        seccompProfile:
`,
    },
    {
      find: '            # Beyond `restricted`: root',
      put: '{{- if not .Values.daemon.unprivileged }}\n            # Beyond `restricted`: root',
    },
    { find: '            runAsUser: 0\n', put: '            runAsUser: 0\n{{- end }}\n' },
    {
      find: '              add:\n                # Gives',
      put: '{{- if not .Values.daemon.unprivileged }}\n              add:\n                # Gives',
    },
    { find: '                - DAC_OVERRIDE\n', put: '                - DAC_OVERRIDE\n{{- end }}\n' },
    {
      find: 'type: DirectoryOrCreate',
      put: 'type: {{ ternary "Directory" "DirectoryOrCreate" .Values.daemon.unprivileged }}',
      times: 2,
    },
    {
      find: '            - name: datastore\n              mountPath: /datastore\n',
      put: `{{- if .Values.datastore.hostPath }}
${block(hostPath, '          volumeMounts:')}
{{- else }}
            - name: datastore
              mountPath: /datastore
{{- end }}
`,
    },
    mounts('daemon', '              mountPath: /var/log/gueststore\n'),
    {
      ...volumes('daemon'),
      put: `${volumes('daemon').put}{{- if .Values.datastore.hostPath }}
${block(hostPath, '      volumes:').replace('/var/lib/gueststore/datastore', '{{ .Values.datastore.hostPath }}')}
{{- end }}
`,
    },
  ];
}

/** What the chart lets people say of either pod. */
function everyPod(name: 'operator' | 'daemon'): Edit[] {
  return [
    {
      find: '      enableServiceLinks: false\n',
      put: `      enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
      imagePullSecrets:
{{- range . }}
        - name: {{ . }}
{{- end }}
{{- end }}
{{- if .Values.priorityClass.enabled }}
      priorityClassName: gueststore
{{- end }}
{{- with .Values.${name}.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
{{- end }}
`,
    },
    { find: /(?<= image: ).*/, put: '{{ include "gueststore.image" . }}' },
    { find: /(?<=imagePullPolicy: ).*/, put: '{{ .Values.image.pullPolicy }}' },
    {
      find: '            - --metrics=:8080\n',
      put: `            - --metrics=:8080
{{- range .Values.${name}.extraArgs }}
            - {{ . | quote }}
{{- end }}
`,
    },
    {
      find: /(?<= {10}resources:)\n(?: {12}.*\n)+/,
      put: `\n            {{- toYaml .Values.${name}.resources | nindent 12 }}\n`,
    },
  ];
}

function mounts(name: string, find: string): Edit {
  return {
    find,
    put: `${find}{{- with .Values.${name}.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
{{- end }}
`,
  };
}

function volumes(name: string): Edit {
  return {
    find: '            claimName: gueststore-datastore\n',
    put: `            claimName: {{ .Values.datastore.existingClaim | default "gueststore-datastore" }}
{{- with .Values.${name}.extraVolumes }}
        {{- toYaml . | nindent 8 }}
{{- end }}
`,
  };
}
