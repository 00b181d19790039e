lab "vue-nullish" {
  title = "a page with ?? in its template does not build, and \"Vue 2.7 supports it\" is half of the truth"
  story = "incident.md"
}

axis "vue" {
  values = ["2.6.14", "2.7.16"]
}

# "none" is a template that is compiled where the page is shown, by the same compiler.
axis "webpack" {
  values = ["none", "4.47.0", "5.112.2"]
}

expect {
  vue     = "2.6.14"
  webpack = ["4.47.0", "5.112.2"]
  verdict = "reproduced"
}

# The wrong lesson: "2.7 supports it".
expect {
  vue     = "2.7.16"
  webpack = "4.47.0"
  verdict = "reproduced"
}

expect {
  vue     = "2.7.16"
  webpack = "5.112.2"
  verdict = "not_reproduced"
}

# What a test of the template alone would say, of either version.
expect {
  webpack = "none"
  verdict = "not_reproduced"
}

image "site" {
  debian   = "bookworm"
  packages = ["nodejs"]
  npm      = "./site" # one folder for each pair of versions, in one tree
}

machine "ci" {
  image = image.site
}

ready "command" "it_builds" {
  machine = machine.ci
  run     = "/srv/site/build.sh ${axis.vue} ${axis.webpack}"
  exit    = 0
  every   = "1s"
  hint    = "cat /var/lib/site/latest/build.log, on machine ci"
}

fault "command" "a_default_in_the_template" {
  machine = machine.ci
  inject  = "fault/inject.sh"
  verify  = "fault/verify.sh"
  heal    = "fault/heal.sh"
}

symptom "command" "build_fails" {
  machine   = machine.ci
  run       = "/srv/site/build.sh ${axis.vue} ${axis.webpack}"
  exit_code = "over 0"
  every     = "3s"
  within    = "12s"

  figure "exit_code" {
    value    = "code"
    incident = axis.webpack == "4.47.0" ? "2" : null
  }
}

# The log of the last build. With vue 2.6 it is vue-loader that fails, in a parser that is older than ??. Where the token
# stands depends on the template.
symptom "file" "syntax_error" {
  when    = axis.vue == "2.6.14"
  machine = machine.ci
  path    = "/var/lib/site/latest/build.log"
  match   = "^SyntaxError: Unexpected token \\(\\d+:\\d+\\)$"
  every   = "500ms"
  within  = "20s"
}

symptom "file" "in_buble" {
  when    = axis.vue == "2.6.14"
  machine = machine.ci
  path    = "/var/lib/site/latest/build.log"
  match   = "/vue-template-es2015-compiler/buble\\.js:2757"
  every   = "500ms"
  within  = "20s"
}

# With vue 2.7 it is webpack, which gets ?? from vue-loader as it stands in the template.
symptom "file" "parse_failed" {
  when    = axis.vue == "2.7.16"
  machine = machine.ci
  path    = "/var/lib/site/latest/build.log"
  match   = "^Module parse failed: Unexpected token \\(\\d+:\\d+\\)$"
  every   = "500ms"
  within  = "20s"
}

symptom "file" "additional_loader" {
  when    = axis.vue == "2.7.16"
  machine = machine.ci
  path    = "/var/lib/site/latest/build.log"
  match   = "^You may need an additional loader to handle the result of these loaders\\.$"
  every   = "500ms"
  within  = "20s"
}

symptom "file" "no_page" {
  machine = machine.ci
  path    = "/var/lib/site/latest/page.html"
  exists  = false
  every   = "500ms"
  within  = "20s"
}

# What misled people: the compiler of that very version takes the template, and the page is right. Half of an upgrade is no
# version: whoever replaces the packages has the folder's lock.
invariant "command" "the_compiler_takes_it" {
  machine = machine.ci
  run     = "cd /srv/site/vue-${axis.vue}-webpack-4.47.0 && flock --shared . node ../page.js"
  exit    = 0
  stdout  = "<td colspan=\"3\">wide</td>"
  every   = "3s"
}

remedy "upgrade_vue" {
  when    = axis.vue == "2.6.14" && axis.webpack == "4.47.0"
  machine = machine.ci
  run     = "remedies/upgrade_vue.sh"
  cures   = false
  soak    = "15s"
}

# With vue-loader 15.11 a rule for .js files is also one for render functions. With 15.9, or vue 2.6, buble comes first.
remedy "babel_rule" {
  when    = axis.vue == "2.6.14"
  machine = machine.ci
  run     = "remedies/babel_rule.sh"
  cures   = axis.webpack == "4.47.0" # where vue was upgraded before
  soak    = "8s"
}

remedy "template_babel_compiler" {
  when    = axis.vue == "2.6.14" && axis.webpack == "5.112.2"
  machine = machine.ci
  run     = "remedies/template_babel_compiler.sh"
  soak    = "8s"
}

remedy "without_nullish" {
  when    = axis.vue == "2.7.16"
  machine = machine.ci
  run     = "remedies/without_nullish.sh"
  soak    = "8s"
}
