/** Solutions of the tree, read when the console is built. */
declare module 'virtual:solutions' {
  const solutions: { name: string; title: string; about: string; resources: string[] }[];
  export default solutions;
}
