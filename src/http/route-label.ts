/** How log and metrics call a route of Fastify's: `/items/:id` → `/items/{id}`. */
export function routeLabel(url: string): string {
  return url.replaceAll(/:(\w+)/g, '{$1}');
}
