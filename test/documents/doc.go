// Package documents reads the command blocks of the repository's documents. A block of commands says in an HTML comment
// before it how it is run:
//
//	<!-- run: cluster -->          on a cluster where the controller is installed
//	<!-- run: bare cluster -->     on a cluster with Argo alone
//	<!-- run: offline -->          without a cluster
//	<!-- run by hand: REASON -->   by nobody, for a reason
//
// A block with prompts ("$ ") also shows what its commands print; "…" stands for anything, and times are not compared.
// A command whose program must end with another code than 0 has "  # exit code N" behind it. Package walk runs them all.
package documents
