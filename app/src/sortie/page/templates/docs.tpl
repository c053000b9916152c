% rebase('base.tpl', title='Interface', script='docs.js')
<main id="main" class="docs" tabindex="-1">
<h1>Interface</h1>
<p>Everything here is also at <a href="/api/openapi.json">/api/openapi.json</a> (OpenAPI 3.1). Sign in with <code>POST /api/auth/login</code> and send the answer's <code>access_token</code> as <code>Authorization: Bearer …</code>.</p>
% for name, operations in groups:
<section aria-labelledby="group-{{name}}">
<h2 id="group-{{name}}">{{name}}</h2>
% for method, path, operation in operations:
<details>
<summary><code class="method">{{method}}</code> <code>{{path}}</code> <span>{{operation['summary']}}</span></summary>
% if 'description' in operation:
<p>{{operation['description']}}</p>
% end
% if operation.get('parameters'):
<h3>Parameters</h3>
<ul>
% for parameter in operation['parameters']:
<li><code>{{parameter['name']}}</code> ({{parameter['in']}}) <code>{{text(parameter['schema'])}}</code></li>
% end
</ul>
% end
% if 'requestBody' in operation:
<h3>Body</h3>
<pre tabindex="0">{{text(operation['requestBody']['content']['application/json']['schema'])}}</pre>
% end
<h3>Answers</h3>
<ul>
% for status, answer in operation['responses'].items():
<li><code>{{status}}</code> {{answer['description']}}</li>
% end
</ul>
</details>
% end
</section>
% end
<section aria-labelledby="objects"><h2 id="objects">Objects</h2>
% for name, schema in components.items():
<details><summary><code>{{name}}</code></summary><pre tabindex="0">{{text(schema)}}</pre></details>
% end
</section>
</main>
