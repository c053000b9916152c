% rebase('base.tpl', title='Administration', script='admin.js')
<main id="main" class="admin" tabindex="-1" data-admin="{{'yes' if is_admin else 'no'}}">
<h1>Administration</h1>
<nav class="tabs" aria-label="Administration">
<a href="#apps">Applications</a>
% if is_admin:
<a href="#categories">Categories</a>
<a href="#users">Users</a>
<a href="#branding">Branding</a>
<a href="#launches">Launches</a>
<a href="#audit">Audit log</a>
<a href="#transfer">Import and export</a>
% end
</nav>
<section id="panel" aria-live="polite"></section>
</main>
<dialog id="editor" class="card-dialog wide" aria-labelledby="editor-title">
<form class="stack" novalidate>
<h2 id="editor-title"></h2>
<p class="problem" role="alert" hidden></p>
<div class="fields"></div>
<div class="row end"><button type="button" class="plain" data-close>Cancel</button><button type="submit" class="primary">Save</button></div>
</form>
</dialog>
<dialog id="question" class="card-dialog" aria-labelledby="question-title">
<div class="stack">
<h2 id="question-title"></h2>
<div class="row end"><button type="button" class="plain" data-answer="no">Cancel</button><button type="button" class="danger" data-answer="yes">Remove</button></div>
</div>
</dialog>
