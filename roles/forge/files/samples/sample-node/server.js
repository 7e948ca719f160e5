'use strict';

// A small app without dependencies that works at /, and below any path that the platform gives it.
//
// Environment: PORT, where it listens (8080); BASE_PATH, the path under which the public sees it, used
// where a request does not say so itself; APP_COMMIT, what it was built from.

const http = require('node:http');

const COMMIT = process.env.APP_COMMIT || '';
const BASE_PATH = process.env.BASE_PATH || '';
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const TITLES = { '/': 'It works: sample-node', '/about': 'About sample-node' };

function escape(text) {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

function page(title, prefix) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>sample-node</title>
<style>body{font:16px/1.5 sans-serif;margin:4rem auto;max-width:36rem}</style>
</head>
<body>
<h1>${escape(title)}</h1>
<p>Built from commit <code>${escape(COMMIT || 'unknown')}</code>.</p>
<nav><a href="${escape(prefix)}/">Home</a> <a href="${escape(prefix)}/about">About</a></nav>
</body>
</html>
`;
}

// Returns the path that the public sees above the app, and the app's own path.
function locate(request) {
  const prefix = (request.headers['x-forwarded-prefix'] || BASE_PATH).replace(/\/+$/, '');
  const path = request.url.split('?', 1)[0];
  // A gateway may have left the prefix in the path.
  const inside = prefix && (path === prefix || path.startsWith(`${prefix}/`));
  return { prefix, path: inside ? path.slice(prefix.length) || '/' : path };
}

function send(response, status, type, body) {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function handle(request, response) {
  const { prefix, path } = locate(request);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(response, 405, 'text/plain', 'only GET\n');
  } else if (path === '/healthz') {
    send(response, 200, 'application/json', `${JSON.stringify({ status: 'ok', commit: COMMIT })}\n`);
  } else if (Object.hasOwn(TITLES, path)) {
    send(response, 200, 'text/html; charset=utf-8', page(TITLES[path], prefix));
  } else {
    send(response, 404, 'text/plain', 'no such page\n');
  }
}

function main() {
  const server = http.createServer(handle);
  server.listen(Number(process.env.PORT || 8080), '0.0.0.0');
  // Requests that are under way may end; connections that wait for more are closed.
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

if (require.main === module) {
  main();
}

module.exports = { handle };
