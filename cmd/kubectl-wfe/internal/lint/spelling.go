package lint

// nearest returns the candidate with the smallest edit distance to a word, or empty when none is similar.
func nearest(word string, candidates []string) string {
	best, limit := "", max(1, len(word)/3)
	for _, candidate := range candidates {
		if n := distance(word, candidate); n > 0 && n <= limit {
			best, limit = candidate, n-1
		}
	}
	return best
}

// distance is the number of insertions, deletions, substitutions and transpositions of adjacent bytes between two words.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
