<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{get('title', '') + ' · ' if get('title') else ''}}{{branding['tenant_name']}}</title>
<script src="{{static}}/early.js"></script>
<link rel="stylesheet" href="/branding.css">
<link rel="stylesheet" href="{{static}}/site.css">
<link rel="icon" href="{{branding['logo_url'] or static + '/logo.svg'}}">
<script type="module" src="{{static}}/{{get('script', 'launcher.js')}}"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="bar">
<a class="brand" href="/">
<img src="{{branding['logo_url'] or static + '/logo.svg'}}" alt="" width="36" height="36" data-logo>
<span>{{branding['tenant_name']}}</span>
</a>
% if get('search'):
<search class="finder">
<input id="search" type="search" placeholder="Search applications" aria-label="Search applications" autocomplete="off" spellcheck="false" enterkeyhint="go">
<button type="button" class="keys" id="open-palette" aria-label="Open the command palette" title="Command palette"><kbd>Ctrl</kbd> <kbd>K</kbd></button>
</search>
% end
<nav class="tools" aria-label="Account and appearance">
<button type="button" id="theme" class="tool" aria-label="Theme: system" title="Theme: system"><span aria-hidden="true">◐</span></button>
<a id="admin-link" class="tool" href="/admin" hidden>Admin</a>
<button type="button" id="account" class="tool" data-signed-out="Sign in">Sign in</button>
</nav>
</header>
{{!base}}
<dialog id="sign-in" class="card-dialog" aria-labelledby="sign-in-title">
<form method="dialog" class="stack">
<h2 id="sign-in-title">Sign in</h2>
<p class="problem" role="alert" hidden></p>
<label>User name <input name="username" autocomplete="username" required maxlength="200"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required maxlength="256"></label>
% if get('has_provider'):
<a class="plain wide-link" href="/api/auth/oidc/login">Sign in with single sign-on</a>
% end
% if get('may_register'):
<p><button type="button" class="as-link" id="to-register">Create an account</button></p>
% end
<div class="row end"><button type="button" value="cancel" class="plain" data-close>Cancel</button><button type="submit" class="primary">Sign in</button></div>
</form>
</dialog>
% if get('may_register'):
<dialog id="register" class="card-dialog" aria-labelledby="register-title">
<form method="dialog" class="stack">
<h2 id="register-title">Create an account</h2>
<p class="problem" role="alert" hidden></p>
<label>User name <input name="username" autocomplete="username" required maxlength="100"></label>
<label>Password <input name="password" type="password" autocomplete="new-password" required minlength="8" maxlength="256"></label>
<div class="row end"><button type="button" class="plain" data-close>Cancel</button><button type="submit" class="primary">Create</button></div>
</form>
</dialog>
% end
<dialog id="account-menu" class="card-dialog" aria-labelledby="account-title">
<div class="stack">
<h2 id="account-title"></h2>
<p class="roles"></p>
<a id="menu-admin" class="plain wide-link" href="/admin" hidden>Administration</a>
<button type="button" class="plain" id="to-password" hidden>Change the password</button>
<div class="row end"><button type="button" class="plain" data-close>Close</button><button type="button" class="primary" id="sign-out">Sign out</button></div>
</div>
</dialog>
<dialog id="password" class="card-dialog" aria-labelledby="password-title">
<form method="dialog" class="stack">
<h2 id="password-title">Change the password</h2>
<p class="problem" role="alert" hidden></p>
<input name="username" type="text" autocomplete="username" hidden readonly>
<label>Current password <input name="current_password" type="password" autocomplete="current-password" required maxlength="256"></label>
<label>New password <input name="new_password" type="password" autocomplete="new-password" required minlength="8" maxlength="256"></label>
<div class="row end"><button type="button" class="plain" data-close>Cancel</button><button type="submit" class="primary">Change</button></div>
</form>
</dialog>
<div id="notices" role="status" aria-live="polite"></div>
</body>
</html>
