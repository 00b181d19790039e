// Webpack is started in the folder of a project, which brings the versions: vue, vue-loader, webpack.
const project = process.cwd()
const { VueLoaderPlugin } = require(require.resolve('vue-loader', { paths: [project] }))

const modules = [project + '/node_modules', __dirname + '/node_modules']

module.exports = {
  mode: 'production',
  context: project, // vue-loader 15.11 takes the compiler of the vue that is found from here
  entry: __dirname + '/src/Table.vue',
  target: 'node',
  output: { path: process.env.OUT, filename: 'table.js', libraryTarget: 'commonjs2' },
  resolve: { modules },
  resolveLoader: { modules },
  module: { rules: [{ test: /\.vue$/, loader: 'vue-loader' }] },
  plugins: [new VueLoaderPlugin()],
}
