# The bytes of each completion that has no escapes.
{
  split($0, part, "\"")
  printf "{\"score\": %d}\n", length(part[4])
  fflush()
}
