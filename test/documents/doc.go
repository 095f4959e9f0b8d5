// Package documents reads the command blocks of the repository's documents. An HTML comment before each block says how it is
// run:
//
//	<!-- run: cluster -->          on a cluster with the controller
//	<!-- run: bare cluster -->     on a cluster with Argo alone
//	<!-- run: offline -->          without a cluster
//	<!-- run by hand: REASON -->   not run, for the reason given
//
// A block with prompts ("$ ") also shows the output of its commands; "…" matches anything, and times are not compared. A
// command that must end with an exit code other than 0 is followed by "  # exit code N". Package walk runs all blocks.
//
// A manifest after <!-- file: PATH --> must be identical to that file, except for a leading comment.
package documents
