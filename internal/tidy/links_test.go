package tidy

import (
	"os"
	"path"
	"regexp"
	"strings"
)

var (
	mdLink    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	mdFence   = regexp.MustCompile("(?ms)^```.*?^```$")
	mdCode    = regexp.MustCompile("`[^`\n]*`")
	mdHeading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
)

// links follows the links of Markdown files inside of the repository.
func links(r *repo) []finding {
	var found []finding
	for name, text := range r.texts {
		if strings.HasSuffix(name, ".tmpl.md") {
			continue // its links are those of the file made from it
		}
		for _, m := range mdLink.FindAllStringSubmatch(mdCode.ReplaceAllString(mdFence.ReplaceAllString(text, ""), "code"), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue // another site
			}
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(path.Join(root, file)); err != nil && r.texts[file] == "" {
				found = append(found, finding{name + " " + m[1], name, "the link to " + m[1] + " leads nowhere"})
			} else if anchor != "" && strings.HasSuffix(file, ".md") && !anchors(r.texts[file])[anchor] {
				found = append(found, finding{name + " " + m[1], name, "there is no heading for the link to " + m[1]})
			}
		}
	}
	return found
}

var notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors returns the anchors that the headings of text get.
func anchors(text string) map[string]bool {
	m := map[string]bool{}
	for _, h := range mdHeading.FindAllStringSubmatch(mdFence.ReplaceAllString(text, ""), -1) {
		m[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return m
}
