export async function memoryCases() {}
