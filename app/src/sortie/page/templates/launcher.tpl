% rebase('base.tpl', search=True)
<main id="main" tabindex="-1">
<h1 class="visually-hidden">{{branding['tenant_name']}}</h1>
<nav class="chips" aria-label="Categories" id="chips">
<button type="button" class="chip" aria-pressed="true" data-category="*">All</button>
% for name, apps in groups:
<button type="button" class="chip" aria-pressed="false" data-category="{{name}}">{{name or 'Other'}} <small>{{len(apps)}}</small></button>
% end
</nav>
<section class="group" id="favourites" hidden><h2>Favourites</h2><ul class="grid"></ul></section>
<section class="group" id="recents" hidden><h2>Recently opened</h2><ul class="grid"></ul></section>
<div class="shelves">
% for name, apps in groups:
<section class="group" data-group="{{name}}" data-size="{{min(len(apps), 4)}}"><h2>{{name or 'Other'}}</h2><ul class="grid">
% for app in apps:
<li class="app" data-id="{{app['id']}}" data-type="{{app['launch_type']}}">
% if app['launch_type'] == 'url':
<a class="open" href="{{app['url']}}" target="_blank" rel="noopener noreferrer">
% else:
<a class="open unavailable" aria-disabled="true">
% end
<span class="icon" data-letter="{{app['name'][:1].upper()}}">\\
% if app['icon']:
<img src="{{app['icon']}}" alt="" width="40" height="40" loading="lazy" decoding="async" referrerpolicy="no-referrer">\\
% else:
<span class="letter" aria-hidden="true">{{app['name'][:1].upper()}}</span>\\
% end
</span>
<span class="words"><span class="name">{{app['name']}}</span><span class="description">{{app['description']}}</span></span></a>
<button type="button" class="star" aria-pressed="false" aria-label="Favourite: {{app['name']}}"><span aria-hidden="true">☆</span></button>
</li>
% end
</ul></section>
% end
</div>
% if not groups:
<section class="empty"><h2>Nothing here yet</h2><p>Applications appear here once an administrator has added some. If you have an account, sign in to see yours.</p></section>
% end
<section class="empty" id="no-match" hidden><h2>Nothing found</h2><p>No application matches <q id="no-match-text"></q>. Esc clears the search.</p></section>
</main>
<dialog id="palette" aria-label="Command palette">
<input id="palette-input" type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list" aria-label="Search applications and commands" placeholder="Type to search…" autocomplete="off" spellcheck="false">
<ul id="palette-list" role="listbox" aria-label="Results"></ul>
<p class="hint"><kbd>↑</kbd> <kbd>↓</kbd> choose · <kbd>Enter</kbd> open · <kbd>Esc</kbd> close</p>
</dialog>
