{{/* nginx for one origin: REST by the first part of the path, gRPC by package and service, both from the values. */}}

{{/* Where each process is reached: `rest` and `grpc` prefixes, `patterns` of paths that it takes from another role. */}}
{{- define "didymos.routes" -}}
{{- $items := list -}}
{{- range (include "didymos.workloads" . | fromYaml).items -}}
{{- $rest := .routes.rest -}}
{{- $grpc := .routes.grpc -}}
{{- if .primary -}}
{{- $rest = append $rest (printf "/%s/" .service) -}}
{{- $grpc = default (list (printf "didymos.%s." (.service | replace "-" "_"))) $grpc -}}
{{- end -}}
{{- if or $rest $grpc .routes.patterns -}}
{{- $items = append $items (dict "name" .name "service" .service "role" .role "rest" $rest "patterns" .routes.patterns "grpc" $grpc) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "items" $items) -}}
{{- end -}}

{{- define "didymos.nginx" -}}
{{- $routes := (include "didymos.routes" . | fromYaml).items -}}
worker_processes {{ int .Values.gateway.workers }};
error_log stderr warn;
pid /tmp/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  client_max_body_size {{ .Values.gateway.maxBody }};
  map $http_upgrade $connection_header { default upgrade; '' ''; }

  # Each name stands twice: a connection that a leaving pod refuses is tried once more.
  {{- range $routes }}
  upstream {{ .name }}.rest { server {{ .name }}:8080 max_fails=0; server {{ .name }}:8080 max_fails=0; keepalive 32; keepalive_timeout 15s; }
  upstream {{ .name }}.grpc { server {{ .name }}:50051 max_fails=0; server {{ .name }}:50051 max_fails=0; }
  {{- end }}

  server {
    listen 8080;
    server_name _;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_connect_timeout 3s;
    proxy_read_timeout 3600s;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_header;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    error_page 502 504 = @away;
    error_page 404 = @unknown;
    {{- range $route := $routes }}
    {{- range $route.patterns }}
    location ~ {{ . }} { proxy_pass http://{{ $route.name }}.rest; }
    {{- end }}
    {{- range $route.rest }}
    location {{ . }} { proxy_pass http://{{ $route.name }}.rest; }
    {{- end }}
    {{- end }}
    location / { return 404; }
    location @away {
      internal;
      default_type application/problem+json;
      add_header Retry-After 1 always;
      return 503 '{"type":"urn:didymos:problem:platform.unavailable","title":"A dependency is away","status":503,"code":"platform.unavailable","retry":"later"}';
    }
    location @unknown {
      internal;
      default_type application/problem+json;
      return 404 '{"type":"urn:didymos:problem:platform.not_found","title":"Unknown, or not yours to see","status":404,"code":"platform.not_found","retry":"never"}';
    }
  }

  server {
    listen 50051 http2;
    server_name _;
    grpc_connect_timeout 3s;
    grpc_read_timeout 3600s;
    grpc_send_timeout 3600s;
    client_body_timeout 3600s;
    client_max_body_size 0;
    error_page 502 504 = @away;
    {{- range $route := $routes }}
    {{- range $route.grpc }}
    location /{{ . }} { grpc_pass grpc://{{ $route.name }}.grpc; }
    {{- end }}
    {{- end }}
    location / { default_type application/grpc; add_header grpc-status 12 always; return 200; }
    location @away { internal; default_type application/grpc; add_header grpc-status 14 always; return 200; }
  }

  server {
    listen 8081;
    server_name _;
    location = /healthz { return 200; }
  }
}
{{- end -}}
