// Usage: page.js [BUNDLE], in the folder of a project. Prints the page: from the bundle, or without one from the template
// itself, which vue-template-compiler compiles as a browser would.
const fs = require('fs')
const own = (name) => require(require.resolve(name, { paths: [process.cwd()] }))
const Vue = own('vue')

function table(bundle) {
  if (bundle) return require(bundle).default
  const compiler = own('vue-template-compiler')
  const { template, script } = compiler.parseComponent(fs.readFileSync(__dirname + '/src/Table.vue', 'utf8'))
  const { errors } = compiler.compile(template.content)
  if (errors.length > 0) throw new Error(errors.join('\n'))
  const options = new Function(script.content.replace('export default', 'return'))()
  return { ...options, ...compiler.compileToFunctions(template.content) }
}

own('vue-server-renderer')
  .createRenderer()
  .renderToString(new Vue({ render: (h) => h(table(process.argv[2])) }))
  .then(console.log)
