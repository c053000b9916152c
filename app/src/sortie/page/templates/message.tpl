% rebase('base.tpl', title=heading, script='docs.js')
<main id="main" tabindex="-1"><section class="empty"><h1>{{heading}}</h1><p>{{words}}</p><p><a href="/">To the applications</a></p></section></main>
