#!/usr/bin/env perl
# example_reward: 1 when the last number of a completion is the reference answer, else 0.
#
# Any program will do that reads a line of JSON for each completion,
#   {"completion":"…","reference":"…","prompt":"…","columns":{…},…}
# and writes a line for each, in order, before it reads on: {"score": 1}, {"score": null} for no
# score, {"error": "why"}. This one is Perl, which is everywhere, and reads the texts as they stand
# in the line: a quote within one is \", so the marks between them are never within.
#
# Test:   zeroth reward test exec:./example_reward.pl
# Train:  zeroth grpo --reward_funcs exec:./example_reward.pl …
use strict;
use warnings;

# Your rule goes here.
sub score_of {
  my ($completion, $reference) = @_;
  my @numbers = $completion =~ /-?[0-9]+/g;
  return @numbers && $numbers[-1] eq $reference ? 1 : 0;
}

$| = 1;  # what is printed is written at once
while (my $line = <STDIN>) {
  $line =~ /^\{"completion":"(.*?)","reference":"(.*?)","prompt":"/ or die "no line of zeroth's";
  printf "{\"score\": %.17g}\n", score_of($1, $2);
}
