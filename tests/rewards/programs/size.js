// The characters of each completion.
require('readline').createInterface({input: process.stdin}).on('line', line => {
  console.log(JSON.stringify({score: [...JSON.parse(line).completion].length}));
});
